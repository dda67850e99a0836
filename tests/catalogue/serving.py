"""The rows about disks, networks, shares and vsock: images, engines, bridges and taps, with the facts made by hand."""

from __future__ import annotations

from collections.abc import Callable

from launcher.host.facts import DeviceNode, Holder, HostFacts, Link, OtherVm, Program
from launcher.images.boot_files import BootFiles
from launcher.images.disk_files import Disk, DiskFile, DiskUse, Opener, Qcow2, Rights
from launcher.record import replace
from launcher.values import GIB, KIB, MIB, Missing, PciAddress
from tests.catalogue.row import Row, with_process
from tests.qcow2_images import qcow2
from tests.served import (
    BRIDGE,
    LINKS,
    ME,
    NODES,
    PROGRAMS,
    START,
    TAP,
    block,
    broken,
    by_user,
    folder,
    image,
    served,
    socket,
    with_disks,
    with_shares,
    with_sockets,
)

ROOT = f"{START}disks: {{root: ./root.qcow2}}\n"
POPULATED = ROOT.replace("1GiB", "[{size: 1GiB, pages: thp}]")
RAW = f"{START}disks: {{root: ./root.img}}\n"
READ = f"{START}disks: {{root: {{path: ./root.qcow2, readonly: true}}}}\n"
RAW_READ = RAW.replace("./root.img", "{path: ./root.img, readonly: true}")
TWO = f"{START}disks: {{root: ./root.qcow2, data: ./data.qcow2}}\n"
TWO_READ = TWO.replace("./root.qcow2", "{path: ./root.qcow2, readonly: true}").replace(
    "./data.qcow2", "{path: ./data.qcow2, readonly: true}"
)
DEVICE = f"{START}disks: {{data: /dev/vda}}\n"
DEVICE_READ = f"{START}disks: {{data: {{path: /dev/vda, readonly: true}}}}\n"
SPDK = f"{START}disks: {{root: {{socket: /run/engine.sock}}}}\n"
LAN = f"{START}nics: {{lan: {{bridge: br0}}}}\n"
MAC = "52:54:00:aa:00:01"
JUMBO = LAN.replace("br0", "br0, mtu: 9000")
LAN_MAC = f"{START}nics: {{lan: {{bridge: br0, mac: '{MAC}'}}}}\n"
TAP0 = f"{START}nics: {{lan: {{tap: vmtap0}}}}\n"
INET = f"{START}nics: {{inet: user}}\n"
WORK = f"{START}shares: {{work: ./src}}\n"
WORK_READ = f"{START}shares: {{work: {{path: ./src, readonly: true}}}}\n"
BOTH = f"{START}disks: {{root: ./root.img}}\nshares: {{work: ./src}}\n"
VSOCK = f"{START}vsock: 42\n"

ABSENT, DENIED = Missing("absent", "/vms/root.qcow2"), Missing("denied", "/vms/root.qcow2")
GOOD, GOOD_RAW = with_disks(root=image()), with_disks(root=image("root.img"))
OTHERS = Opener(4711, "qemu-storage-da")
QEMU = Holder(4711, "qemu-system-x86")
MOUNTED = DiskUse("mounted", "vda1 on /data", "/data")
NVME = PciAddress.parse("0000:02:00.0")  # of the server
NVME_TOO = f"{START}devices: {{drive: '{NVME}'}}\ndisks: {{data: /dev/vda}}\n"


def banks(count: int, served_: str) -> str:
    """As many banks, the first of which is in two pieces: below the hole of BARs, and above."""
    rest = ", {size: 1GiB}" * (count - 1)
    return START.replace("memory: 1GiB", f"memory: [{{size: 4GiB}}{rest}]") + f"{served_}\n"


MINE = image(rights=Rights("/vms/root.qcow2", ME, ME, 0o600))


def head(**fields: object) -> BootFiles:
    """The image with this in its header."""
    return with_disks(root=image(qcow2=replace(Qcow2(3, 64 * MIB), **fields)))


def user(**fields: object) -> HostFacts:
    return by_user(served(**fields))


def links(*changed: Link) -> Callable[[], HostFacts]:
    """As the host has them, but for these; a name that begins with - is not there."""
    names = {one.name.removeprefix("-") for one in changed}
    rest = tuple(one for one in LINKS if one.name not in names)
    return lambda: served(links=(*rest, *(one for one in changed if not one.name.startswith("-"))))


def by_owner(one: Callable[[], HostFacts]) -> Callable[[], HostFacts]:
    return lambda: by_user(one())


def nodes(name: str, *, usable: bool | None = None) -> Callable[[], HostFacts]:
    """Without the node, or with one that this user may not open."""
    rest = tuple(one for one in NODES if one.path != f"/dev/{name}")
    node = () if usable is None else (DeviceNode(f"/dev/{name}", 0o660, 0, 105, usable),)
    return lambda: by_user(served(nodes=(*rest, *node)))


def programs(**changed: Program | None) -> Callable[[], HostFacts]:
    named = {name.replace("_", "-"): one for name, one in changed.items()}
    found = {name: one for name, one in (PROGRAMS | named).items() if one is not None}
    return lambda: served(programs=found)


def _file(id_: str, code: str, variant: str, spec: str, files: BootFiles, near: BootFiles, near_spec: str = "") -> Row:
    return Row(id_, code, served, served, spec, near_spec, variant=variant, named=files, near_named=near)


def _both(*chain: str) -> BootFiles:
    """A disk with its bases, beside the share of /vms/src."""
    return replace(with_disks(root=tuple(image(name) for name in chain)), shares={"work": folder()})


def _host(
    id_: str,
    code: str,
    variant: str,
    spec: str,
    host: Callable[[], HostFacts],
    near: Callable[[], HostFacts] = served,
    near_spec: str = "",
    files: BootFiles | None = None,
) -> Row:
    return Row(id_, code, host, near, spec, near_spec, variant=variant, named=files)


def _chain(*images: DiskFile) -> BootFiles:
    return with_disks(root=Disk(images))


ROWS: tuple[Row, ...] = (
    # ---- what an image is ----
    _file("image-not-servable", "E600", "absent", ROOT, with_disks(root=ABSENT), GOOD),
    _file("image-not-servable", "E601", "denied", ROOT, with_disks(root=DENIED), GOOD),
    _file("image-not-servable", "E602", "loop", ROOT, with_disks(root=Missing("unreadable", ABSENT.path)), GOOD),
    _file("image-not-servable", "E603", "folder", RAW, with_disks(root=image("root.img", kind="directory")), GOOD_RAW),
    _file("image-not-servable", "E603", "of-the-kernel", RAW,
          with_disks(root=image("root.img", b"", kind="special", file_system="proc")), GOOD_RAW),
    _file("image-not-servable", "E603", "base", ROOT, _chain(image(), image("base.img", kind="special")),
          _chain(image(), image("base.img"))),
    _file("image-not-servable", "E604", "empty", RAW, with_disks(root=image("root.img", b"")), GOOD_RAW),
    _file(
        "image-not-servable", "E605", "cut-off", RAW, with_disks(root=image("root.img", bytes(1023))),
        with_disks(root=image("root.img", bytes(1024))),
    ),
    _file("image-of-another-format", "E606", "header", RAW, with_disks(root=image("root.img", qcow2())), GOOD_RAW),
    _file("image-of-another-format", "E607", "raw", ROOT, with_disks(root=image(content=b"\xeb" * MIB)), GOOD),
    _file(
        "image-of-another-format", "E608", "vmdk", RAW, with_disks(root=image("root.img", b"KDMV".ljust(MIB, b"\1"))),
        with_disks(root=image("root.img", b"KDMX".ljust(MIB, b"\1"))),
    ),
    _file(
        "image-of-another-format", "W608", "packed", RAW,
        with_disks(root=image("root.img", b"\xfd7zXZ\0".ljust(MIB, b"\1"))), GOOD_RAW,
    ),
    _file(
        "image-damaged", "E609", "half", ROOT, with_disks(root=image(content=qcow2()[: 2 << 16])),
        with_disks(root=image(content=qcow2()[: 3 << 16])),
    ),
    _file("image-damaged", "E610", "corrupt", ROOT, head(corrupt=True), head(dirty=True)),
    _file("image-damaged", "W610", "dirty", ROOT, head(dirty=True), head(corrupt=True)),
    _file("image-not-servable", "E611", "encrypted", ROOT, head(encrypted=True), GOOD),
    _file("image-not-servable", "E612", "data-file", ROOT, head(data_file=True), GOOD),
    _file(
        "image-not-servable", "E613", "features", ROOT, with_disks(root=image(content=qcow2(features=1 << 9))),
        with_disks(root=image(content=qcow2(features=1 << 4))),
    ),
    # ---- what it is based on ----
    _file(
        "backing-chain-broken", "E614", "gone", ROOT, with_disks(root=broken("absent", "base.img")),
        _chain(image(), image("base.img")),
    ),
    _file("backing-chain-broken", "E601", "denied", ROOT, with_disks(root=broken("denied", "base.img")), GOOD),
    _file("backing-chain-broken", "E615", "loop", ROOT, with_disks(root=broken("loop", "root.qcow2")), GOOD),
    _file(
        "backing-chain-broken", "E616", "unsaid", ROOT, with_disks(root=broken("unsaid", "base.img")),
        _chain(image(), image("base.img", qcow2())),
    ),
    _file(
        "backing-chain-broken", "E616", "vmdk", ROOT, with_disks(root=broken("foreign", "old.vmdk", format="vmdk")),
        GOOD,
    ),
    # ---- who else has it ----
    _file(
        "image-in-use", "E617", "written", RAW,
        with_disks(root=image("root.img", taken=("read", "write"), openers=(OTHERS,))),
        with_disks(root=image("root.img", taken=("read",))),
    ),
    _file(
        "image-in-use", "E617", "kept", ROOT, with_disks(root=image(taken=("read",), refused=("write", "resize"))),
        with_disks(root=image(taken=("read",), refused=("write", "resize"))), READ,
    ),
    _file(
        "image-in-use", "E617", "base-written", ROOT, _chain(image(), image("base.img", taken=("write",))),
        _chain(image(), image("base.img", taken=("read",), refused=("write", "resize"))),
    ),
    Row(
        "image-in-use", "E617", lambda: served(vms=(OtherVm("other", images=(image().identity,)),)),
        lambda: served(vms=(OtherVm("vm", images=(image().identity,)),)), ROOT, variant="by-a-vm",
        named=with_disks(root=image(taken=("write",), openers=(OTHERS,))),
    ),
    Row(
        "image-in-use", "E617", lambda: served(vms=(OtherVm("other", bases=(image().identity,)),)),
        lambda: served(vms=(OtherVm("other", bases=(image().identity,)),)), ROOT, READ, variant="read-by-a-vm",
        named=with_disks(root=image(taken=("read",))),
    ),
    _file(
        "image-in-use", "E618", "mounted", DEVICE, with_disks(data=block(uses=(MOUNTED,))), with_disks(data=block()),
    ),
    _file(
        "image-in-use", "E618", "loop", RAW,
        with_disks(root=image("root.img", uses=(DiskUse("holder", "/dev/loop3 is made of it", "loop3"),))), GOOD_RAW,
    ),
    _file(
        "image-in-use", "W618", "and-read", DEVICE_READ, with_disks(data=block(uses=(MOUNTED,))),
        with_disks(data=block()),
    ),
    _file(
        "image-in-use", "E619", "passed", NVME_TOO, with_disks(data=block(function=NVME)),
        with_disks(data=block(function=PciAddress.parse("0000:03:00.0"))),
    ),
    _file(
        "image-in-use", "E620", "twice", TWO,
        with_disks(root=image(), data=image("data.qcow2", identity=image().identity)),
        with_disks(root=image(), data=image("data.qcow2", identity=image().identity)), TWO_READ,
    ),
    _file(
        "image-in-use", "E620", "as-a-base", TWO,
        with_disks(root=image(), data=Disk((image("data.qcow2"), image()))),
        with_disks(root=Disk((image(), image("base.img"))), data=Disk((image("data.qcow2"), image("base.img")))),
    ),
    # ---- rights and room ----
    _file(
        "image-denied-to-its-engine", "E621", "mode", ROOT,
        with_disks(root=image(rights=Rights("/vms/root.qcow2", ME, ME, 0o400))),
        with_disks(root=image(rights=Rights("/vms/root.qcow2", ME, ME, 0o600))),
    ),
    _file(
        "image-denied-to-its-engine", "E621", "base", ROOT,
        _chain(MINE, image("base.img", rights=Rights("/vms/base.img", 0, 0, 0o600))),
        _chain(MINE, image("base.img", rights=Rights("/vms/base.img", 0, 0, 0o644))),
    ),
    Row(
        "image-denied-to-its-engine", "E621", user, user, RAW, RAW_READ, variant="by-a-user",
        named=with_disks(root=image("root.img", rights=Rights("/vms/root.img", 0, 0, 0o644))),
    ),
    _file(
        "image-read-only", "E622", "device", DEVICE, with_disks(data=block(read_only=True)),
        with_disks(data=block(read_only=True)), DEVICE_READ,
    ),
    _file("image-read-only", "W622", "iso", RAW, with_disks(root=replace(image("root.img"), content="iso")),
          with_disks(root=replace(image("root.img"), content="iso")), RAW_READ),
    _file(
        "image-without-room", "E623", "full", ROOT, with_disks(root=image(free=4 * KIB)),
        with_disks(root=image(free=4 * KIB, allocated=64 * MIB)),
    ),
    _file(
        "image-without-room", "W623", "sparse", ROOT,
        with_disks(root=image(content=qcow2(100 * GIB), free=20 * GIB)),
        with_disks(root=image(content=qcow2(100 * GIB), free=101 * GIB)),
    ),
    _file(
        "image-without-room", "W623", "together", TWO,
        with_disks(root=image(content=qcow2(60 * GIB)), data=image("data.qcow2", qcow2(60 * GIB))),
        with_disks(root=image(content=qcow2(60 * GIB)), data=image("data.qcow2", qcow2(60 * GIB), identity="2:7")),
    ),
    _file(
        "image-without-room", "W624", "in-memory", RAW, with_disks(root=image("root.img", file_system="tmpfs")),
        GOOD_RAW,
    ),
    # ---- engines ----
    _host("engine-not-usable", "E630", "missing", ROOT, programs(qemu_storage_daemon=None), files=GOOD),
    _host("engine-not-usable", "E630", "no-virtiofsd", WORK, programs(virtiofsd=None),
          files=with_shares(work=folder())),
    _host(
        "engine-not-usable", "E631", "loose", ROOT, programs(qemu_storage_daemon=Program("/usr/bin/qsd", loose=True)),
        files=GOOD,
    ),
    _host(
        "engine-not-usable", "E632", "passt-of-debian-12", INET,
        programs(passt=Program("/usr/bin/passt", "0.0~git20230309.7c7625d-1", vhost_user=False)),
    ),
    _host(
        "engine-not-usable", "E632", "built-without", ROOT,
        programs(qemu_storage_daemon=Program("/usr/bin/qemu-storage-daemon", "9.0.0", vhost_user=False)), files=GOOD,
    ),
    _host(
        "engine-not-usable", "E633", "which", WORK, programs(virtiofsd=Program("/usr/libexec/virtiofsd")),
        files=with_shares(work=folder()),
    ),
    _host("engine-not-usable", "W216", "not-recorded", LAN, lambda: replace(served(), serving=None)),
    # ---- networks ----
    _host("no-bridge-or-tap", "E634", "another-namespace", LAN, lambda: served(links_of_another=True)),
    _host("no-bridge-or-tap", "E635", "bridge", LAN, links(replace(BRIDGE, name="-br0"))),
    _host("no-bridge-or-tap", "E636", "card", LAN.replace("br0", "eth0"), served, served, LAN),
    _host("no-bridge-or-tap", "W636", "down", LAN, links(replace(BRIDGE, up=False))),
    _host("no-bridge-or-tap", "W635", "no-vlan", LAN, links(replace(BRIDGE, no_vlan=True))),
    _host("no-bridge-or-tap", "W659", "mtu", JUMBO, served, links(replace(BRIDGE, mtu=9000))),
    _host("no-bridge-or-tap", "E637", "tap", TAP0, by_owner(links(replace(TAP, name="-vmtap0"))), user),
    _host("no-bridge-or-tap", "E638", "tun", TAP0, by_owner(links(replace(TAP, kind="tun"))), user),
    _host("no-bridge-or-tap", "E638", "queues", TAP0, by_owner(links(replace(TAP, multi_queue=True))), user),
    _host("no-bridge-or-tap", "E639", "open", TAP0, by_owner(links(replace(TAP, attached=True))), user),
    _host("no-bridge-or-tap", "E639", "open-in", TAP0, by_owner(links(replace(TAP, attached=True, holders=(QEMU,)))),
          lambda: user(vms=(OtherVm("vm", taps=("vmtap0",)),), links=(replace(TAP, attached=True),))),
    _host("no-bridge-or-tap", "W639", "tap-down", TAP0, by_owner(links(replace(TAP, up=False, attached=None))), user),
    _host("network-denied", "E640", "tap", TAP0, by_owner(links(replace(TAP, owner=1001))), user),
    _host("network-denied", "E640", "group", TAP0, by_owner(links(replace(TAP, owner=None, group=7))), user),
    _host("network-denied", "E642", "container", LAN, lambda: with_process(nodes("net/tun")(), container=True), user),
    _host("network-denied", "E642", "module", TAP0, nodes("vhost-net"), user),
    _host("network-denied", "E643", "vhost", TAP0, nodes("vhost-net", usable=False), nodes("vhost-net", usable=True)),
    _host("network-denied", "E644", "bridge", LAN, user, served),
    _host("taken-by-another-vm", "E646", "mac", LAN_MAC, lambda: served(vms=(OtherVm("other", (MAC,)),)),
          lambda: served(vms=(OtherVm("vm", (MAC,)),))),
    _host("taken-by-another-vm", "E647", "host", LAN_MAC, links(replace(LINKS[1], mac=MAC)),
          links(replace(LINKS[1], mac=MAC, name="eth1"))),
    _host("taken-by-another-vm", "E648", "cid", VSOCK, lambda: served(vms=(OtherVm("other", cid=42),)),
          lambda: served(vms=(OtherVm("other", cid=43),))),
    # ---- engines of others ----
    _file("engine-of-others", "E650", "nobody", SPDK, with_sockets(disks_root=Missing("absent", "/run/engine.sock")),
          with_sockets(disks_root=socket())),
    _file("engine-of-others", "E651", "file", SPDK, with_sockets(disks_root=socket(kind="other")),
          with_sockets(disks_root=socket())),
    Row("engine-of-others", "E652", user, user, SPDK, variant="denied", named=with_sockets(disks_root=socket()),
        near_named=with_sockets(disks_root=socket(mode=0o666))),
    _file("engine-of-others", "W650", "of-a-user", SPDK, with_sockets(disks_root=socket(uid=ME)),
          with_sockets(disks_root=socket())),
    Row("engine-of-others", "W650", user, user, SPDK, variant="of-another-user",
        named=with_sockets(disks_root=socket(mode=0o666, uid=1001)),
        near_named=with_sockets(disks_root=socket(mode=0o666, uid=ME))),
    # ---- shares ----
    _file("share-not-servable", "E653", "absent", WORK, with_shares(work=Missing("absent", "/vms/src")),
          with_shares(work=folder())),
    _file("share-not-servable", "E654", "file", WORK, with_shares(work=folder(kind="other")),
          with_shares(work=folder())),
    _file("share-not-servable", "E654", "of-the-kernel", WORK,
          with_shares(work=folder(kind="other", file_system="sysfs")), with_shares(work=folder(file_system="tmpfs"))),
    Row("share-not-servable", "E655", user, user, WORK, WORK_READ, variant="by-a-user",
        named=with_shares(work=folder(uid=0))),
    _file("share-not-servable", "E655", "on-the-way", WORK,
          with_shares(work=folder(above=(Rights("/root", 0, 0, 0o700),))),
          with_shares(work=folder(above=(Rights("/root", 0, 0, 0o711),)))),
    _file("share-not-servable", "E656", "read-only", WORK, with_shares(work=folder(read_only=True)),
          with_shares(work=folder(read_only=True)), WORK_READ),
    _file("share-of-root", "W656", "written", WORK, with_shares(work=folder(uid=0)), with_shares(work=folder(uid=0)),
          WORK_READ),
    _file("share-with-images", "W654", "written", BOTH, _both("src/root.img"), _both("srcs/root.img")),
    _file("share-with-images", "W654", "base", BOTH, _both("root.img", "src/base.img"), _both("root.img", "base.img")),
    _host("no-user-namespace", "E657", "none", WORK, lambda: served(user_namespaces=0),
          files=with_shares(work=folder())),
    _host("no-user-namespace", "E657", "unprivileged", WORK,
          lambda: user(unprivileged="kernel.apparmor_restrict_unprivileged_userns"),
          lambda: served(unprivileged="kernel.apparmor_restrict_unprivileged_userns"),
          files=with_shares(work=folder())),
    _host("no-user-namespace", "E657", "passt", INET, lambda: user(unprivileged="kernel.unprivileged_userns_clone"),
          lambda: user(unprivileged="kernel.apparmor_restrict_unprivileged_userns")),
    _host("no-user-namespace", "E657", "chroot", ROOT, lambda: served(name_space="EPERM"),
          lambda: user(name_space="EPERM"), files=with_disks(root=MINE)),
    _host("no-user-namespace", "E657", "container", WORK,
          lambda: with_process(served(name_space="EPERM"), container=True), lambda: served(name_space="made"),
          files=with_shares(work=folder())),
    _host("no-user-namespace", "E657", "too-many", INET, lambda: user(name_space="ENOSPC"),
          lambda: user(name_space=None)),
    # ---- memory that engines map ----
    _file("shared-memory", "E659", "pieces", banks(8, "disks: {root: ./root.qcow2}"), GOOD, GOOD,
          banks(7, "disks: {root: ./root.qcow2}")),
    _host("shared-memory", "E659", "vhost", banks(20, "vsock: 42"), lambda: served(vhost_regions=16),
          lambda: served(vhost_regions=21)),
    _host("shared-memory", "E658", "file-size", ROOT, lambda: served(file_size=512 * MIB),
          lambda: served(file_size=GIB), files=GOOD),
    _host("shared-memory", "W657", "small-pages", POPULATED,
          lambda: replace(served(shmem="never"), kernel="5.15.0"),
          lambda: replace(served(shmem="never"), kernel="6.1.0"), files=GOOD),
    _host("shared-memory", "W657", "denied", ROOT, lambda: served(shmem="deny"), lambda: served(shmem="never"),
          files=GOOD),
    _host("shared-memory", "W657", "no-mount", ROOT, lambda: user(shmem="never", name_space="EPERM"),
          lambda: user(shmem="never", name_space="made"), files=with_disks(root=MINE)),
)  # fmt: skip

WITHOUT_RULE: dict[str, str] = {
    "engine-dies": "no host shows beforehand which process will be killed, or crash: E560 says how it ended and what "
    "it said last, whenever that is; where one cannot even start, E561 does, and E630 to E633 and E657 foretell why",
    "engine-mute": "a program that does not answer is like any other until it is asked, which is when it runs: E562, "
    "E566 and E570 say what came in place of an answer",
    "engine-hangs-up": "an engine does so for what a guest puts into a queue, or as it likes: E571",
    "changed-since-the-plan": "what was there when the plan was made, and is another or gone at its step: an image, a "
    "folder, a socket (E563), a tap or a bridge (E564, E565), an image that another VM has by then (E567)",
}
