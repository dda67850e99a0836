"""The rows about groups, addresses, drivers, users and virtual functions, and their like without a rule."""

from __future__ import annotations

from typing import Any

from launcher.host.facts import Config, HostFacts, Interface, Use, VirtualFunction
from launcher.record import replace
from launcher.values import NO_MAC, VfSettings, Vlan
from tests.catalogue.driver_hosts import (
    DISK,
    GPU,
    MOUNTED,
    NIC,
    PORT,
    READY,
    SOUND,
    VF,
    bare_card,
    behind_port,
    board,
    booted_with,
    bridge_in_group,
    conventional,
    drives,
    foreign,
    linux,
    moved,
    neighbours,
    on,
    override,
    parent,
    psp,
    qat,
    smi,
    sriov,
    used,
    vgpu,
    virtual,
    vmd,
    without_disk,
)
from tests.catalogue.row import ONE, Row, hosted, lab, small, with_process


def spec(*devices: str) -> str:
    lines = "".join(f"  {one}\n" for one in devices)
    return f"boot: {{kernel: ./bzImage}}\ncpus: 2\nmemory: 1GiB\ndevices:\n{lines}"


GPU_SOUND = f"{GPU[:-1]}1"
OTHER_GPU, OTHER_SOUND = "0000:e1:00.0", "0000:e1:00.1"
ONE_GPU = spec(f"gpu: {GPU}")
BOTH = spec(f"gpu: {{pci: {GPU}, companions: attach}}")
ONE_VF = spec(f"nic: {{pci: {NIC}, vf: 3}}")
SIXTH_VF = spec(f"nic: {{pci: {NIC}, vf: 5}}")
ONE_VGPU = spec(f"gpu: {{pci: {NIC}, vf: 3}}")
NEVER_VGPU = spec(f"gpu: {{pci: {NIC}, vf: 3, bind: never}}")
DRIVES_131, DRIVES_128 = (spec(*(f"d{n}: 0001:{n:02x}:00.0" for n in range(count))) for count in (131, 128))
CARD = spec(f"card: {NIC}")
LAN = spec("lan: {pci: 0000:00:1f.6, companions: detach}")


PATH = Use("path", "sda is a path to dm-0 (mpatha), as is sdb of 0000:81:00.0: dm-0 (mpatha) on /data", "dm-0")
WILLING_DISK = spec(f"disk: {{pci: {DISK}, allow: [in-use]}}")
ROUTE = Use("route", "eth0 has the default route", "eth0")
XORG = Use("process", "Xorg (911) has /dev/dri/card1 open", "Xorg", 911)
PIPEWIRE = Use("process", "pipewire (812) has /dev/snd/controlC1 open", "pipewire", 812)
SCREEN = Use("display", "card1-DP-1 is connected", "card1-DP-1")
HELD = {"nvidia": ("nvidia_modeset", "nvidia_uvm"), "nvidia_modeset": ("nvidia_drm",)}
UP = Use("interface", "eth0 is up", "eth0")
DOWN = (Interface("eth0", "02:00:00:00:3b:00", up=False),)
GIVES_NONE = (Interface("eth0", "02:00:00:00:3b:00", up=True, without_mac=(2, 3)),)
GIVES_ONE = (replace(GIVES_NONE[0], without_mac=(0, 1, 2)),)
UNREAD = (replace(DOWN[0], up=True),)  # as hosts were recorded before
MINE, THEIRS = "52:54:00:12:34:56", "02:00:00:00:3b:13"
SET_MAC = spec(f"nic: {{pci: {NIC}, vf: 3, network: {{mac: '{MINE}'}}}}")
SET_TRUST = spec(f"nic: {{pci: {NIC}, vf: 3, network: {{trust: true}}}}")
WHOLE = spec(f"nic: {{pci: {NIC}, network: {{mac: '{MINE}', vlan: 100}}}}")


def knows(driver: str = "mlx5_core", **settings: Any) -> HostFacts:
    """The physical function says of its virtual function 3 what it gives it."""
    known = {"mac": THEIRS, "vlan": Vlan(0), "trust": False, "spoofcheck": True}
    functions = (VirtualFunction(3, VfSettings(**known | settings)),)
    return parent(driver=driver, interfaces=(replace(DOWN[0], up=True, functions=functions),))


MADE_UP = (Interface("eth7", "2a:61:0f:33:9c:d1", up=False, random=True),)
GIVEN = (replace(MADE_UP[0], random=False),)

ROWS: tuple[Row, ...] = (
    # ---- groups ----
    Row(
        "group-not-viable", "E203", lab("shared"), lab("shared"), small("nic: 0000:02:01.0"),
        small("nic: {pci: 0000:02:01.0, companions: detach}"), "shared",
    ),
    Row("group-not-viable", "E203", on(SOUND), on(SOUND, driver=None), ONE_GPU, variant="sound"),
    Row("group-not-viable", "E203", on(SOUND), on(SOUND), ONE_GPU, BOTH, variant="attached"),
    Row(
        "group-not-viable", "E203", lambda: foreign("i2c_designware"), lambda: foreign("vfio-platform"),
        variant="no-pci-function",
    ),
    Row(
        "group-bridge-driver-shpchp", "E203", lab("hotplug-bridge"), lab("zoo"), small("it: 0000:01:01.0"),
        small("nic: 0000:09:01.0"), "hotplug-bridge",
    ),
    Row(
        "group-bridge-driver-shpchp", "E203", bridge_in_group("shpchp"), bridge_in_group("pcieport"),
        variant="pcieport",
    ),
    Row(
        "group-bridge-driver-shpchp", "E203", bridge_in_group("shpchp", "5.19.0"), bridge_in_group("shpchp", "5.18.19"),
        variant="release",
    ),
    Row("group-contains-host-critical-device", "E230", board(MOUNTED), board(), LAN),
    Row(
        "group-contains-host-critical-device", "E203", lab("plain"), board(sata=None),
        small("smbus: {pci: 0000:00:1f.3, allow: [no-reset]}"), LAN.replace("detach", "refuse"), "plain", "refused",
    ),
    Row(
        "group-contains-host-critical-device", "W241", lambda: bare_card(ROUTE, UP), lambda: bare_card(ROUTE, UP),
        spec(f"card: {{pci: {NIC}, allow: [in-use=eth0]}}"), CARD, variant="lost",
    ),
    Row(
        "group-contains-host-critical-device", "W244", lambda: bare_card(ROUTE, UP), lambda: bare_card(ROUTE, UP),
        spec(f"card: {{pci: {NIC}, allow: [in-use=eth0, in-use=eth7]}}"),
        spec(f"card: {{pci: {NIC}, allow: [in-use=eth0, 'in-use={NIC}']}}"), variant="misspelt",
    ),
    Row(
        "group-contains-host-critical-device", "W230", psp("ccp"), psp(None),
        BOTH.replace("attach", "detach"), variant="psp",
    ),
    Row("group-contains-host-critical-device", "W230", board(smbus="i801_smbus"), board(), LAN, variant="board"),
    Row("no-acs-large-group", "W234", neighbours("0000:04:00.0"), neighbours("0000:02:00.1"), made_in="zoo"),
    Row(
        "acs-override-active", "W231", linux(cmdline="quiet pcie_acs_override=downstream,multifunction"),
        linux(cmdline="quiet note=pcie_acs_override=downstream pcie_acs_overrides=1 -- pcie_acs_override=downstream"),
    ),
    Row(
        "pci-alias-group", "W234", lambda: without_disk(conventional(None)),
        lambda: without_disk(conventional(None)), spec("old: 0000:04:01.0"),
        spec("old: 0000:04:01.0", "older: 0000:04:02.0"), made_in="shared",
    ),
    # ---- addresses ----
    Row(
        "device-is-a-bridge", "E212", lab("shared"), lab("zoo"), small("nic: 0000:00:02.0"),
        small("disk: 0000:01:00.0"), "shared",
    ),
    Row(
        "device-is-a-bridge", "E212", behind_port("nvme"), behind_port("nvme"), spec(f"disk: {PORT}"), ONE,
        variant="with-a-disk",
    ),
    Row(
        "device-is-a-bridge", "E212", on(DISK, class_code="068000", config=Config(header=1)),
        on(DISK, class_code="068000", config=Config(header=0)), variant="by-header",
    ),
    Row(
        "bdf-renumbered", "E202", lab("shared"), lab("shared"),
        small("gpu: {pci: 0000:01:00.0, expect: 10de:2684, companions: detach}"),
        small("nic: {pci: 0000:01:00.0, expect: 8086:10d3, companions: detach}"),
        "shared",
    ),
    Row(
        "bdf-renumbered", "E202", moved, moved, spec(f"disk: {{pci: {DISK}, expect: 144d:a809}}"),
        spec("disk: {pci: 0000:03:00.0, expect: 144d:a809}"), variant="moved",
    ),
    Row(
        "bdf-renumbered", "E202", moved, moved,
        spec("disk: {match: {class: ethernet, node: 0}, expect: 144d:a809}"),
        spec("disk: {match: {class: nvme, node: 0}, expect: 144d:a809}"), variant="match",
    ),
    Row(
        "device-not-present-or-bad-address", "E201", lab("plain"), lab("plain"), small("it: 0000:7f:00.0"),
        small("net: {pci: 0000:00:1e.0, allow: [no-reset]}"), "plain",
    ),
    Row(
        "device-not-present-or-bad-address", "E201", on(DISK), on(DISK), spec("disk: 0000:02:00.1"), ONE,
        variant="function",
    ),
    Row(
        "device-not-present-or-bad-address", "E201", lambda: vmd("0000:00:0e.0"), lambda: vmd("0000:00:0e.0"),
        spec("disk: 10000:e2:00.0"), spec("disk: 10000:e1:00.0"), variant="vmd",
    ),
    Row(
        "group-not-viable", "E203", lambda: vmd("0000:00:0e.0"), lambda: vmd("0000:00:0e.0"),
        spec("disk: 10000:e1:00.0"), spec("raid: 0000:00:0e.0"), variant="vmd",
    ),
    # ---- drivers ----
    Row(
        "bound-to-host-driver", "E214", lab("narrow"), lab("noiommu-mode"),
        small("disk: {pci: 0000:01:00.0, bind: never}"), captured="narrow",
    ),
    Row(
        "no-driver-at-all", "E214", on(DISK, driver=None), on(DISK, driver=None),
        spec(f"disk: {{pci: {DISK}, bind: never}}"), ONE, made_in="narrow",
    ),
    Row(
        "new-id-pitfalls", "W235", lambda: booted_with("vfio-pci.ids=10de:2684,10de:22ba"),
        lambda: booted_with("vfio-pci.ids=10de:22ba"), BOTH,
    ),
    Row(
        "override-names-missing-driver", "W232", lambda: override("vfio_pci", ("nvme", "vfio-pci")),
        lambda: override("vfio-pci", ("nvme",)), made_in="narrow",
    ),
    Row(
        "stale-driver-override", "W233", on(DISK, driver=None, driver_override="vfio-pci"),
        on(DISK, driver="vfio-pci", driver_override="vfio-pci"), made_in="narrow",
    ),
    Row(
        "denylisted-device", "E237", qat(parameters={"vfio_pci.disable_denylist": "N"}),
        qat(parameters={"vfio_pci.disable_denylist": "Y"}), spec("qat: 0000:b1:01.0"),
    ),
    Row(
        "denylisted-device", "W216", qat(modules=("vfio",)), qat(modules=(), cmdline="vfio_pci.disable_denylist=1"),
        spec("qat: 0000:b1:01.0"), variant="not-loaded",
    ),
    # ---- in use ----
    Row(
        "host-uses-device", "E230", used(DISK, Use("mounted", "nvme0n1p2 on /data", "/data")),
        used(DISK, Use("mounted", "nvme0n1p2 on /data", "/data"), driver="vfio-pci"),
        spec(f"disk: {{pci: {DISK}, allow: [in-use]}}"), made_in="narrow",
    ),
    Row(
        "host-uses-device", "E230", used(DISK, Use("holder", "dm-0 is built on nvme0n1p2", "dm-0")), used(DISK),
        variant="holder",
    ),
    Row(
        "host-uses-device", "E231", used(DISK, PATH), used(DISK, PATH), near_spec=WILLING_DISK, variant="path",
    ),
    Row(
        "host-uses-device", "E231", lambda: bare_card(ROUTE, UP), lambda: bare_card(ROUTE, UP), CARD,
        spec(f"card: {{pci: {NIC}, allow: [in-use]}}"), variant="route",
    ),
    Row(
        "boot-vga", "E231", lab("display"), on(READY, boot_vga=True),
        small("gpu: {pci: 0000:00:02.0, allow: [no-reset]}"), BOTH, "display",
    ),
    Row("boot-vga", "E231", on(GPU, boot_vga=True), on(READY, boot_vga=True), BOTH, variant="of-two"),
    Row(
        "driver-busy-unbind-hangs", "E232",
        used(GPU, smi(911, "nvidia-persiste"), smi(4711, "python3")), used(GPU, XORG, driver="nouveau"),
        BOTH.replace("attach", "attach, allow: [in-use]"),
    ),
    Row(
        "driver-busy-unbind-hangs", "E231", used(GPU, XORG, driver="nouveau"),
        used(GPU, XORG, driver="vfio-pci"), BOTH, variant="nouveau", made_in="narrow",
    ),
    Row(
        "driver-busy-unbind-hangs", "E232", used(SOUND, PIPEWIRE), used(SOUND, PIPEWIRE, driver=None),
        BOTH.replace("attach", "attach, allow: [in-use]"), variant="sound",
    ),
    Row(
        "driver-busy-unbind-hangs", "E240", linux(holders=HELD, parameters={"nvidia_drm.modeset": "Y"}),
        linux(holders=HELD, parameters={"nvidia_drm.modeset": "N"}, cmdline="nvidia_drm.modeset=1"),
        BOTH.replace("attach", "attach, allow: [in-use]"), variant="modeset",
    ),
    Row(
        "driver-busy-unbind-hangs", "E240", linux(cmdline="nvidia-drm.modeset=0 nvidia-drm.modeset=1"),
        linux(cmdline="nvidia-drm.modeset=1 nvidia-drm.modeset=0"), BOTH, variant="modeset-of-the-command-line",
    ),
    Row(
        "driver-busy-unbind-hangs", "E240", linux(framebuffers=("nvidia-drmdrmfb",)),
        linux(framebuffers=("nvidia-drmdrmfb",), holders={"nvidia": ("nvidia_uvm",)}), BOTH, variant="console",
    ),
    Row(
        "driver-busy-unbind-hangs", "W242", used(GPU, SCREEN),
        used(GPU, SCREEN, driver="nouveau"), BOTH.replace("attach", "attach, allow: [in-use]"), variant="screen",
    ),
    Row(
        "driver-busy-unbind-hangs", "W216", linux(holders=HELD), linux(holders={"nvidia": ()}), BOTH,
        variant="modeset-unread",
    ),
    Row("guest-places-exhausted", "E211", lambda: drives(131), lambda: drives(131), DRIVES_131, DRIVES_128),
    # ---- virtual functions ----
    Row("vgpu-without-type", "E245", vgpu(), vgpu(vfio="vfio0"), ONE_VGPU),
    Row("vgpu-without-type", "E245", vgpu(), vgpu(vfio="vfio0"), NEVER_VGPU, variant="never"),
    Row("vgpu-without-type", "E245", vgpu(driver=None), vgpu("1af4:1041", driver=None), ONE_VGPU, variant="no-driver"),
    Row("bound-to-host-driver", "E214", vgpu("15b3:101e"), vgpu("15b3:101e", vfio="vfio0"), NEVER_VGPU, variant="vf"),
    Row(
        "pf-has-vfs", "E233", lab("virtual-functions"), bare_card, small("disk: 0000:01:00.0"), CARD,
        "virtual-functions",
    ),
    Row("pf-has-vfs", "E233", sriov(driver=None), sriov(0), CARD, variant="orphans"),
    Row(
        "pf-unbind-kills-or-orphans-vfs", "E234", lab("virtual-functions"), on(NIC, driver="vfio-pci"),
        small("pf: 0000:01:00.0, vf: 0000:01:00.1"), spec(f"card: {NIC}", f"nic: {{pci: {NIC}, vf: 3}}"),
        "virtual-functions",
    ),
    Row(
        "vf-missing", "E207", lab("virtual-functions"), lab("virtual-functions"),
        small("vf: {pci: 0000:01:00.0, vf: 3}"), small("vf: {pci: 0000:01:00.0, vf: 1}"), "virtual-functions",
    ),
    Row("vf-missing", "E207", sriov(0), sriov(4), ONE_VF, variant="none-yet"),
    Row("vf-missing", "E201", sriov(0), sriov(4), spec(f"nic: {VF}"), variant="by-address"),
    Row(
        "vf-count-errors", "E235", lab("virtual-functions"), lab("virtual-functions"),
        small("vf: {pci: 0000:01:00.0, vf: 7}"), small("vf: {pci: 0000:01:00.0, vf: 3}"), "virtual-functions",
    ),
    Row("vf-count-errors", "E235", sriov(4, total=5), sriov(4, total=6), SIXTH_VF, variant="total"),
    Row("vf-count-errors", "E235", sriov(4, driver=None), sriov(4), SIXTH_VF, variant="driver"),
    Row("vf-count-errors", "E235", sriov(0, driver="vfio-pci"), sriov(0), SIXTH_VF, variant="vfio"),
    Row("vf-grabbed-by-host-driver", "W236", virtual(autoprobe=True), virtual(True, "vfio-pci"), ONE_VF),
    Row(
        "vf-token-required", "E236", lambda: parent(driver="vfio-pci"), virtual(driver="vfio-pci"), ONE_VF,
        made_in="virtual-functions",
    ),
    Row(
        "vf-without-working-pf", "W237", lambda: parent(interfaces=DOWN),
        lambda: parent(interfaces=(*DOWN, replace(DOWN[0], name="eth1", up=True))), ONE_VF,
    ),
    Row(
        "vf-without-working-pf", "W237", lambda: parent(driver=None), parent, ONE_VF, variant="driver",
        made_in="virtual-functions",
    ),
    Row(
        "vf-without-working-pf", "W243", lambda: parent(interfaces=GIVES_NONE), lambda: parent(interfaces=GIVES_ONE),
        ONE_VF, variant="no-mac",
    ),
    Row(
        "vf-without-working-pf", "W243", on(VF, interfaces=MADE_UP), on(VF, interfaces=GIVEN), ONE_VF,
        variant="random-mac",
    ),
    Row("vf-without-working-pf", "E238", parent, knows, WHOLE, SET_MAC, variant="set-on-no-vf"),
    Row(
        "vf-without-working-pf", "E238", lambda: parent(driver=None, interfaces=()), knows, SET_MAC,
        variant="set-without-driver",
        made_in="virtual-functions",
    ),
    Row("vf-without-working-pf", "E238", lambda: parent(interfaces=UNREAD), knows, SET_MAC, variant="set-unread"),
    Row(
        "vf-without-working-pf", "E238", lambda: parent(interfaces=()), knows, SET_MAC,
        variant="set-without-interface",
    ),
    Row(
        "vf-without-working-pf", "E238", lambda: parent(interfaces=(replace(DOWN[0], up=True, functions=()),)),
        knows, SET_MAC, variant="set-on-silent-driver",
    ),
    Row("vf-without-working-pf", "E239", lambda: knows(trust=None), knows, SET_TRUST, variant="trust-unknown"),
    Row(
        "vf-without-working-pf", "E239", lambda: knows("qede", mac=NO_MAC), lambda: knows(mac=NO_MAC), SET_MAC,
        variant="mac-not-taken-away",
    ),
    Row(
        "vf-without-working-pf", "E246", lambda: with_process(knows(), capabilities=("cap_sys_admin",)),
        lambda: with_process(knows(mac=MINE), capabilities=("cap_sys_admin",)), SET_MAC, variant="set-by-whom",
    ),
    # ---- what a scheduler gave ----
    Row(
        "not-given", "E247", hosted("gpu07"), hosted("gpu07"), spec(f"gpu: {{pci: {GPU}, companions: attach}}"),
        only=f"{OTHER_GPU},{OTHER_SOUND}", near_only=f"{GPU},{GPU_SOUND}", variant="another",
    ),
    Row(
        "not-given", "E247", hosted("gpu07"), hosted("gpu07"), spec("gpu: {match: {id: 10de:2684}, pick: free}"),
        only="0000:02:00.0", near_only=f"{OTHER_GPU},{OTHER_SOUND}", variant="none-that-matches",
    ),
    Row(
        "not-given", "E247", hosted("gpu07"), hosted("gpu07"), spec(f"gpu: {{pci: {GPU}, companions: attach}}"),
        only=GPU, near_only=f"{GPU},{GPU_SOUND}", variant="half-a-group",
    ),
    Row(
        "given-and-gone", "E248", hosted("gpu07"), hosted("gpu07"), spec("disk: 0000:02:00.0"),
        only="0000:02:00.0,0000:03:00.0", near_only="0000:02:00.0,0000:81:00.0",
    ),
)  # fmt: skip

# id -> why a plan cannot see it, or where else it is dealt with.
WITHOUT_RULE: dict[str, str] = {
    "group-number-unstable": "A spec has no place for a group number. A saved plan assumes the number and the members "
    "of each group, and `up` stops with exit code 10 when they differ.",
    "vf-config-reads-ffff": "It is a trap for who reads the host: ids and BARs come from the files `vendor`, `device` "
    "and `resource`, which are right for virtual functions too, and never from configuration space.",
}
