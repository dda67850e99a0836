"""What the host does with its devices: disks, networks, screens, keyboards, and processes."""

from __future__ import annotations

import pytest

from launcher.host.blocks import block_uses, read_owners
from launcher.host.facts import BlockDevice, Holder, Interface, Use
from launcher.host.opened import read_opened
from launcher.host.tree import Recorded, Status
from launcher.host.uses import read_used
from tests.unit.host.trees import DEVICES, PCI, functions, tree

DRIVE = "../../devices/pci0000:00/0000:00:02.0/0000:01:00.0/nvme/nvme0/nvme0n1"
CARD = "../../devices/pci0000:00/0000:00:02.0/0000:01:00.0"
BLOCK, NET = "/sys/class/block", "/sys/class/net"
PART = f"{BLOCK}/nvme0n1p2"
NODE = Status("char", 0o660, 0, 0)


def uses(machine: Recorded) -> list[Use]:
    return [use for one in functions(machine, read_used(machine, read_opened(machine))) for use in one.uses]


def said(machine: Recorded) -> list[str]:
    return [f"{use.kind}: {use.what}" for use in uses(machine)]


# ---- disks ----


def disk(texts: dict[str, str], links: dict[str, str] | None = None) -> Recorded:
    drive = {f"{BLOCK}/nvme0n1": DRIVE, PART: f"{DRIVE}/nvme0n1p2"}
    return tree({f"{BLOCK}/nvme0n1/dev": "259:0", f"{PART}/dev": "259:2"} | texts, drive | (links or {}))


def test_a_partition_is_mounted_by_its_number_whatever_the_source_is_called():
    machine = disk({"/proc/self/mountinfo": r"29 1 259:2 / /my\040data rw,relatime shared:1 - ext4 /dev/root rw"})
    assert uses(machine) == [Use("mounted", "nvme0n1p2 on /my data", "/my data")]


def test_a_drive_that_nothing_uses_has_no_uses():
    elsewhere = "29 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 29 0:24 / /proc rw - proc proc rw\n"
    assert uses(disk({"/proc/self/mountinfo": elsewhere})) == []


def test_btrfs_has_numbers_of_its_own_and_is_found_by_name():
    machine = disk({"/proc/self/mountinfo": "29 1 0:25 /@ / rw - btrfs /dev/nvme0n1p2 rw,subvol=/@"})
    assert said(machine) == ["mounted: nvme0n1p2 on /"]


def test_a_btrfs_of_two_drives_is_mounted_by_the_name_of_one():
    pool = "/sys/fs/btrfs/b7f4/devices"
    mounted = {"/proc/self/mountinfo": "29 1 0:25 / /data rw - btrfs /dev/sda1 rw"}
    assert said(disk(mounted, {f"{pool}/sda1": "x", f"{pool}/nvme0n1p2": "x"})) == ["mounted: nvme0n1p2 on /data"]


def test_bind_mounts_do_not_hide_the_mount_of_the_whole():
    lines = [f"{number} 1 259:2 /volumes/{number} /pods/{number} rw - ext4 x rw" for number in range(40, 80)]
    whole = "29 1 259:2 / /var rw - ext4 x rw"
    assert said(disk({"/proc/self/mountinfo": "\n".join([*lines, whole])})) == ["mounted: nvme0n1p2 on /var"]
    assert len(uses(disk({"/proc/self/mountinfo": "\n".join(lines)}))) == 8


def test_swap_by_the_name_in_proc_swaps():
    swaps = "Filename\tType\tSize\tUsed\tPriority\n/dev/nvme0n1p2 partition\t999\t0\t-2\n/swap file\t9\t0\t-3\n"
    assert uses(disk({"/proc/swaps": swaps})) == [Use("swap", "nvme0n1p2 is swap", "/dev/nvme0n1p2")]


def test_what_is_built_on_a_partition_counts_with_its_own_mounts():
    texts = {
        "/proc/self/mountinfo": "29 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw",
        f"{BLOCK}/dm-0/dev": "253:0",
        f"{BLOCK}/dm-0/dm/name": "vg-root",
        "/run/udev/data/b259:2": "S:disk/by-id/x\nE:ID_FS_TYPE=LVM2_member\n",
    }
    links = {f"{BLOCK}/dm-0": "../../devices/virtual/block/dm-0", f"{PART}/holders/dm-0": "x"}
    assert uses(disk(texts, links)) == [
        Use("mounted", "dm-0 (vg-root) on /", "/"),
        Use("holder", "dm-0 (vg-root) is built on nvme0n1p2", "dm-0"),
        Use("member", "nvme0n1p2 is a LVM2_member", "/dev/nvme0n1p2"),
    ]


def test_a_member_of_a_zfs_pool_has_no_holder_and_no_mount():
    assert said(disk({"/run/udev/data/b259:2": "E:ID_FS_TYPE=zfs_member"})) == ["member: nvme0n1p2 is a zfs_member"]
    assert said(disk({"/run/udev/data/b259:2": "E:ID_FS_TYPE=ext4"})) == []


def test_with_multipath_a_namespace_hangs_below_its_subsystem():
    head = "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
    links = {f"{BLOCK}/nvme0n1": head, f"{PART}": f"{head}/nvme0n1p2"}
    links["/sys/class/nvme-subsystem/nvme-subsys0/nvme0"] = "../../pci0000:00/0000:00:02.0/0000:01:00.0/nvme/nvme0"
    machine = disk({"/proc/self/mountinfo": "29 1 259:2 / / rw - ext4 x rw"}, links)
    assert said(machine) == ["mounted: nvme0n1p2 on /"]


# ---- which disks it has ----


def disks(machine: Recorded) -> list[BlockDevice]:
    return [disk for one in functions(machine, read_used(machine, read_opened(machine))) for disk in one.disks]


def test_a_drive_has_its_disk_and_not_the_parts_of_it():
    assert disks(disk({f"{BLOCK}/nvme0n1/size": "1000215216", f"{PART}/size": "2048"})) == [
        BlockDevice("nvme0n1", 512_110_190_592)
    ]


def test_each_port_of_an_adapter_may_have_a_disk_and_one_may_have_no_size():
    port = "../../devices/pci0000:00/0000:00:02.0/0000:01:00.0/ata{0}/host{0}/target{0}:0:0/{0}:0:0:0/block/{1}"
    links = {f"{BLOCK}/sda": port.format(1, "sda"), f"{BLOCK}/sr0": port.format(2, "sr0")}
    links |= {f"{BLOCK}/sda1": port.format(1, "sda/sda1"), f"{BLOCK}/loop0": "../../devices/virtual/block/loop0"}
    assert disks(tree({f"{BLOCK}/sda/size": "2048"}, links)) == [BlockDevice("sda", 1 << 20), BlockDevice("sr0", None)]


def test_a_path_of_multipath_is_no_disk_of_its_own():
    head, controller = "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", f"{CARD}/nvme/nvme0"
    links = {f"{BLOCK}/nvme0n1": head, f"{BLOCK}/nvme0n1p2": f"{head}/nvme0n1p2"}
    links |= {f"{BLOCK}/nvme0c0n1": f"{controller}/nvme0c0n1"}
    links |= {"/sys/class/nvme-subsystem/nvme-subsys0/nvme0": controller}
    assert [one.name for one in disks(tree({}, links))] == ["nvme0n1"]


# ---- which function leads there ----

PHYSICAL, VIRTUAL = "0000:5e:00.0", "0000:5e:00.1"
SUBSYSTEM = "../../devices/virtual/nvme-subsystem/nvme-subsys3"


def shared_drive(*paths: str, below: str = "/sys/class/nvme/nvme{}/{}") -> Recorded:
    """A drive with two controllers, 7 and 8; the host runs from namespace 1, nothing uses namespace 12."""
    links = {f"{BLOCK}/{name}": f"{SUBSYSTEM}/{name}" for name in ("nvme3n1", "nvme3n12")}
    links[f"{BLOCK}/nvme3n1p2"] = f"{SUBSYSTEM}/nvme3n1/nvme3n1p2"
    for number, address in ((7, PHYSICAL), (8, VIRTUAL)):
        link = f"../../pci0000:5d/0000:5d:00.0/{address}/nvme/nvme{number}"
        links[f"/sys/class/nvme-subsystem/nvme-subsys3/nvme{number}"] = link
        for path in (one for one in paths if f"c{number}n" in one):
            links[below.format(number, path)] = f"{link}/{path}"
    texts = {f"{BLOCK}/nvme3n1/dev": "259:0", f"{BLOCK}/nvme3n1p2/dev": "259:2", f"{BLOCK}/nvme3n12/dev": "259:5"}
    return tree(texts | {"/proc/self/mountinfo": "29 1 259:2 / / rw - ext4 x rw"}, links)


def of_whom(machine: Recorded) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address, use in block_uses(machine, read_owners(machine)):
        found.setdefault(str(address), []).append(f"{use.kind}: {use.what}")
    return found


@pytest.mark.parametrize("below", ["/sys/class/nvme/nvme{}/{}", "/sys/class/block/{1}"])
@pytest.mark.parametrize(
    ("paths", "owners"),
    [
        (("nvme3c7n1", "nvme3c8n12"), {PHYSICAL}),
        (("nvme3c7n1", "nvme3c8n1", "nvme3c8n12"), {PHYSICAL, VIRTUAL}),
        (("nvme3c8n1", "nvme3c7n12"), {VIRTUAL}),
        ((), {PHYSICAL, VIRTUAL}),
        (("nvme3c7n12", "nvme3c8n12"), {PHYSICAL, VIRTUAL}),
    ],
)
def test_a_namespace_belongs_to_the_controllers_that_have_a_path_to_it(paths, owners, below):
    assert of_whom(shared_drive(*paths, below=below)) == {owner: ["mounted: nvme3n1p2 on /"] for owner in owners}


def adapters(*disks: tuple[str, str], uuid: str = "mpath-3600a", **texts: str) -> Recorded:
    """Disks below host adapters, all of them paths of dm-0; its first partition, dm-1, is mounted on /data."""
    links = {f"{BLOCK}/{name}": f"../../devices/virtual/block/{name}" for name in ("dm-0", "dm-1")}
    found = {"/proc/self/mountinfo": "29 1 253:1 / /data rw - xfs /dev/mapper/mpatha1 rw"}
    for number, (disk, address) in enumerate(disks):
        place = f"host{number}/target{number}:0:0/{number}:0:0:0/block"
        links[f"{BLOCK}/{disk}"] = f"../../devices/pci0000:00/0000:00:03.0/{address}/{place}/{disk}"
        links[f"{BLOCK}/{disk}/holders/dm-0"] = links[f"{BLOCK}/dm-0/slaves/{disk}"] = "x"
        found |= {f"{BLOCK}/{disk}/dev": f"8:{16 * number}", f"{BLOCK}/{disk}/device/state": "running"}
        found[f"/run/udev/data/b8:{16 * number}"] = "E:ID_FS_TYPE=mpath_member"
    links[f"{BLOCK}/dm-0/holders/dm-1"] = "x"
    found |= {f"{BLOCK}/dm-{n}/dev": f"253:{n}" for n in (0, 1)} | {f"{BLOCK}/dm-0/dm/name": "mpatha"}
    found |= {f"{BLOCK}/dm-0/dm/uuid": uuid, f"{BLOCK}/dm-1/dm/name": "mpatha1", f"{BLOCK}/dm-1/dm/uuid": "part1-mpath"}
    return tree(found | {path.replace("__", "/"): text for path, text in texts.items()}, links)


ONE, OTHER = "0000:04:00.0", "0000:05:00.0"


def test_a_path_of_dm_multipath_is_no_mount_as_long_as_another_adapter_has_one():
    end = "dm-1 (mpatha1) on /data"
    assert of_whom(adapters(("sda", ONE), ("sdb", OTHER))) == {
        ONE: [f"path: sda is a path to dm-0 (mpatha), as is sdb of {OTHER}: {end}"],
        OTHER: [f"path: sdb is a path to dm-0 (mpatha), as is sda of {ONE}: {end}"],
    }


@pytest.mark.parametrize(
    ("disks", "state", "uuid"),
    [
        ((("sda", ONE), ("sdb", ONE)), "running", "mpath-3600a"),  # two ports of one adapter
        ((("sda", ONE), ("sdb", OTHER)), "offline", "mpath-3600a"),  # the other path is down
        ((("sda", ONE), ("sdb", OTHER)), "running", "LVM-abc"),  # a volume over both, which needs both
    ],
)
def test_it_is_a_mount_where_no_other_function_leads_there(disks, state, uuid):
    machine = adapters(*disks, uuid=uuid, **{f"{BLOCK}/sdb/device/state": state})
    assert "mounted: dm-1 (mpatha1) on /data" in of_whom(machine)[ONE]


def test_an_array_counts_for_the_controllers_of_all_its_members():
    links = {f"{BLOCK}/md0": "../../devices/virtual/block/md0"}
    for disk, address in (("sda", ONE), ("sdb", OTHER)):
        links[f"{BLOCK}/{disk}"] = f"../../devices/pci0000:00/0000:00:03.0/{address}/ata1/host0/block/{disk}"
        links[f"{BLOCK}/{disk}/holders/md0"] = "x"
    machine = tree({f"{BLOCK}/md0/dev": "9:0", "/proc/self/mountinfo": "29 1 9:0 / /srv rw - ext4 x rw"}, links)
    assert {address: said[-1] for address, said in of_whom(machine).items()} == dict.fromkeys(
        (ONE, OTHER), "mounted: md0 on /srv"
    )


def test_a_volume_counts_for_the_controllers_below_it_and_for_no_other_of_its_group():
    links = {f"{BLOCK}/dm-{n}": f"../../devices/virtual/block/dm-{n}" for n in (0, 1)}
    for n, (disk, address) in enumerate((("sda", ONE), ("sdb", OTHER))):
        links[f"{BLOCK}/{disk}"] = f"../../devices/pci0000:00/0000:00:03.0/{address}/ata1/host0/block/{disk}"
        links[f"{BLOCK}/{disk}/holders/dm-{n}"] = "x"
    texts = {f"{BLOCK}/dm-0/dev": "253:0", f"{BLOCK}/dm-1/dev": "253:1"}
    mounts = "29 1 253:0 / / rw - ext4 x rw\n30 29 253:1 / /srv rw - ext4 x rw"
    found = of_whom(tree(texts | {"/proc/self/mountinfo": mounts}, links))
    assert (found[ONE][-1], found[OTHER][-1]) == ("mounted: dm-0 on /", "mounted: dm-1 on /srv")


def test_a_disk_on_usb_is_a_use_of_its_controller():
    links = {f"{BLOCK}/sda": f"{CARD}/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sda"}
    machine = tree({f"{BLOCK}/sda/dev": "8:0", "/proc/self/mountinfo": "29 1 8:0 / /usb rw - vfat x rw"}, links)
    assert said(machine) == ["mounted: sda on /usb"]


# ---- networks ----

ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"


def card(texts: dict[str, str], links: dict[str, str] | None = None, flags: str = "0x1003") -> Recorded:
    own = {f"{NET}/eth0/flags": flags, f"{NET}/eth0/address": "52:54:00:12:34:56", f"{NET}/bonding_masters": "bond0"}
    return tree(own | texts, {f"{NET}/eth0": f"{CARD}/net/eth0"} | (links or {}))


def test_an_interface_is_up_by_its_flags_and_one_that_is_down_is_no_use():
    assert said(card({})) == ["interface: eth0 is up"]
    assert said(card({}, flags="0x1002")) == []
    (found,) = functions(card({}), read_used(card({}), read_opened(card({}))))
    assert found.interfaces == (Interface("eth0", "52:54:00:12:34:56", True),)


@pytest.mark.parametrize(("kind", "random"), [("0", False), ("1", True), ("3", False)])
def test_a_mac_that_the_driver_made_up_is_random(kind: str, random: bool):
    machine = card({f"{NET}/eth0/addr_assign_type": kind})
    (found,) = functions(machine, read_used(machine, read_opened(machine)))
    assert [one.random for one in found.interfaces] == [random]


def test_the_default_route_is_the_one_without_bits():
    route = ROUTES + "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t{}\n"
    assert said(card({"/proc/net/route": route.format("00000000")}))[0] == "route: eth0 has the default route"
    assert said(card({"/proc/net/route": route.format("00000080")})) == ["interface: eth0 is up"]


@pytest.mark.parametrize(("device", "flags", "found"), [("eth0", "00000003", 2), ("lo", "00200200", 1)])
def test_the_kernels_own_default_route_of_version_6_leads_nowhere(device: str, flags: str, found: int):
    zero = "0" * 32
    line = f"{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 {flags} {device}\n"
    assert len(said(card({"/proc/net/ipv6_route": line}))) == found


def test_the_port_of_a_bridge_carries_the_route_of_what_stands_on_it():
    links = {
        f"{NET}/eth0/master": "../../../../virtual/net/br0",
        f"{NET}/eth0/upper_br0": "x",
        f"{NET}/br0": "../../devices/virtual/net/br0",
        f"{NET}/br0/upper_br0.7": "x",
    }
    route = {"/proc/net/route": ROUTES + "br0.7\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n"}
    assert said(card(route, links)) == [
        "route: eth0 carries br0.7, which has the default route",
        "interface: eth0 is up",
        "master: eth0 is a port of br0",
    ]


# ---- screens, consoles, keyboards ----


def test_a_connector_with_a_screen_is_a_display():
    drm = "/sys/class/drm"
    links = {f"{drm}/{name}": f"{CARD}/drm/card0/{name}" for name in ("card0-HDMI-A-1", "card0-DP-1")}
    texts = {f"{drm}/card0-HDMI-A-1/status": "connected", f"{drm}/card0-DP-1/status": "disconnected"}
    assert uses(tree(texts, links)) == [Use("display", "card0-HDMI-A-1 is connected", "card0-HDMI-A-1")]


CONSOLE = {"/sys/class/vtconsole/vtcon1/name": "(M) frame buffer device", "/sys/class/vtconsole/vtcon1/bind": "1"}


def test_the_firmwares_framebuffer_is_the_console_of_the_card_the_machine_booted_with():
    fb = {"/sys/class/graphics/fb0": "../../devices/platform/efi-framebuffer.0/graphics/fb0"}
    assert said(tree(CONSOLE | {f"{PCI}/boot_vga": "1"}, fb)) == [
        "console: vtcon1 is the host's console: (M) frame buffer device"
    ]
    assert said(tree(CONSOLE | {f"{PCI}/boot_vga": "0"}, fb)) == []


def test_a_drivers_framebuffer_is_the_console_of_its_own_card():
    fb = {"/sys/class/graphics/fb0": f"{CARD}/graphics/fb0"}
    other = {f"{DEVICES}/0000:09:00.0/uevent": "PCI_ID=1A03:2000", f"{DEVICES}/0000:09:00.0/boot_vga": "1"}
    assert len(said(tree(CONSOLE | other, fb))) == 1
    assert said(tree(CONSOLE | other | {"/sys/class/vtconsole/vtcon1/bind": "0"}, fb)) == []


def test_a_dummy_is_no_console_and_a_serial_card_can_be_one():
    dummy = {"/sys/class/vtconsole/vtcon0/name": "(S) dummy device", "/sys/class/vtconsole/vtcon0/bind": "1"}
    texts = dummy | {f"{PCI}/boot_vga": "1", "/proc/consoles": "ttyS4                -W- (EC p a)    4:68\n"}
    assert said(tree(texts, {"/sys/class/tty/ttyS4": f"{CARD}/tty/ttyS4"})) == [
        "console: ttyS4 is a console of the kernel"
    ]


INPUT = """\
I: Bus=0003 Vendor=046d Product=c52b Version=0111
N: Name="Logitech USB Receiver"
S: Sysfs=/devices/pci0000:00/0000:00:02.0/0000:01:00.0/usb1/1-2/1-2:1.0/0003:046D:C52B.0001/input/input5
H: Handlers=sysrq kbd leds event3

I: Bus=0000 Vendor=0000 Product=0000 Version=0000
N: Name="HDA NVidia HDMI/DP,pcm=3"
S: Sysfs=/devices/pci0000:00/0000:00:02.0/0000:01:00.0/sound/card1/input13
H: Handlers=event12

I: Bus=0019 Vendor=0000 Product=0001 Version=0000
N: Name="Power Button"
S: Sysfs=/devices/LNXSYSTM:00/LNXPWRBN:00/input/input0
H: Handlers=kbd event0
"""


def test_keyboards_are_inputs_and_the_jacks_of_a_sound_card_are_not():
    assert uses(tree({"/proc/bus/input/devices": INPUT})) == [
        Use("input", "1-2 is a keyboard or mouse: Logitech USB Receiver", "1-2")
    ]


# ---- processes ----


def held(texts: dict[str, str] | None = None, links: dict[str, str] | None = None, denied: str = "") -> Recorded:
    nodes = {
        "/dev/dri/renderD128": Status("char", 0o660, 0, 0, "226:128"),
        "/dev/kvm": Status("char", 0o660, 0, 0, "10:232"),
    }
    owners = {
        "/sys/dev/char/226:128": f"{CARD}/drm/renderD128",
        "/sys/dev/char/10:232": "../../devices/virtual/misc/kvm",
    }
    own = {"/proc/1/comm": "init", "/proc/812/comm": "Xorg", "/proc/812/fd/0": "", "/proc/1/fd/0": ""}
    return tree(own | (texts or {}), owners | (links or {}), denied=frozenset(denied.split()), nodes=nodes)


def test_a_process_uses_the_function_that_its_open_node_belongs_to():
    machine = held(links={"/proc/812/fd/7": "/dev/dri/renderD128", "/proc/812/fd/8": "/dev/kvm"})
    assert uses(machine) == [Use("process", "Xorg (812) has /dev/dri/renderD128 open", "Xorg", 812)]
    assert read_opened(machine).holders(machine, "/dev/kvm") == (Holder(812, "Xorg"),)


USER = "/user.slice/user-1000.slice"


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/ollama.service", "ollama.service"),
        ("12:cpuset:/\n1:name=systemd:/system.slice/nvidia-vgpu-mgr.service\n0::/", "nvidia-vgpu-mgr.service"),
        (f"0::{USER}/user@1000.service/session.slice/pipewire.service", "1000:pipewire.service"),
        (f"0::{USER}/user@1000.service/init.scope", None),
        (f"0::{USER}/user@1000.service", None),
        (f"0::{USER}/session-2.scope", None),
        ("0::/system.slice/docker-4711.scope", None),
        ("", None),
    ],
)
def test_the_cgroup_of_a_process_names_the_service_that_it_belongs_to(cgroup: str, unit: str | None):
    machine = held({"/proc/812/cgroup": cgroup}, {"/proc/812/fd/7": "/dev/dri/renderD128"})
    assert [use.unit for use in uses(machine)] == [unit]


def test_the_asking_process_does_not_count():
    machine = held(links={"/proc/812/fd/7": "/dev/dri/renderD128", "/proc/self": "812"})
    assert uses(machine) == []


def test_nvidias_nodes_are_in_no_sysfs_and_found_by_their_minor():
    links = {"/proc/812/fd/7": "/dev/nvidia3", "/proc/812/fd/8": "/dev/nvidiactl"}
    machine = held({"/proc/driver/nvidia/gpus/0000:01:00.0/information": "Model:\t X\nDevice Minor: \t 3\n"}, links)
    assert said(machine) == ["process: Xorg (812) has /dev/nvidia3 open"]


@pytest.mark.parametrize("denied", ["/proc/812/fd", "/proc/812/fd/0"])
def test_a_process_that_may_not_be_looked_into_may_hold_anything(denied: str):
    assert read_opened(held()).all_seen
    assert not read_opened(held(denied=denied)).all_seen


def test_who_does_not_see_the_first_process_does_not_see_all():
    assert not read_opened(Recorded({"/proc/812/fd/0": ""})).all_seen
    assert not read_opened(held(links={"/proc/self/ns/pid": "pid:[4026532299]"})).all_seen
    assert read_opened(held(links={"/proc/self/ns/pid": "pid:[4026531836]"})).all_seen
