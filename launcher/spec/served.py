"""A value of a disk, a NIC, a share or vsock in, as it is meant out; a Problem is raised otherwise. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.patterns import re
from launcher.record import replace
from launcher.spec import addresses
from launcher.spec.problems import Problem
from launcher.spec.scalars import kind, text, truth, wrong_kind
from launcher.typed import TYPE_CHECKING
from launcher.values import NO_MAC

if TYPE_CHECKING:
    from launcher.spec.problems import FieldPath

LONGEST_TAG = 36  # of struct virtio_fs_config (include/uapi/linux/virtio_fs.h)
LONGEST_INTERFACE = 15  # IFNAMSIZ in include/uapi/linux/if.h is 16, with the NUL
FIRST_CID, LAST_CID = 3, 0xFFFFFFFE  # 0 to 2 and the last are the hypervisor's, the host's and anybody's (vsock(7))
INTERFACE = r"(?!\.{1,2}$)[^/:%\s\x00]{1,15}"  # dev_valid_name in net/core/dev.c; % is a pattern there
AUTO = "auto"
FOREIGN = "E148"  # complaints.py knows what other tools mean, and adds it
# Options of QEMU, cloud-hypervisor and Proxmox, an address of the web, and a size. A comma in a path is none of them.
_BEHIND = (
    r"if|format|media|cache|readonly|ro|index|snapshot|aio|id|driver|bus|unit|size|discard|serial|file|path|direct|iommu"
    r"|bootindex|ssd|backup|iothread|replicate|boot|werror|rerror|[a-z]+[._-][a-z._-]+"
)
_OPTIONS = rf"[a-z_-]+=[^,]*,.*|(file|path|id|if|driver|source|src)=.*|[^,]+,({_BEHIND})=.*"
# What QEMU calls a protocol (its block drivers), with and without slashes behind it.
_ELSEWHERE = r"(nbd|rbd|iscsi|ssh|sftp|nfs|gluster|sheepdog|vxhs|nvme|json)(\+\w+)?:.*"
_FOREIGN_DISK = rf"{_OPTIONS}|[a-z]+://.*|file:.*|{_ELSEWHERE}|[0-9]+ ?[kKmMgGtT](i?[bB])?"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
_LEFT_OUT = ("leave `mac` out: it follows from the names of VM and NIC, and stays",)
MULTICAST = 1  # the bit of a MAC's first byte that makes it a group's (IEEE 802, 8.2)


def disk_path(given: object) -> str:
    return _path(given, _FOREIGN_DISK, "a disk", _DISKS_ELSEWHERE)


def share_path(given: object) -> str:
    return _path(given, r"[^:]+:/[^:]*(:[a-zA-Z,]+)?|(source|src|path|type)=.*", "a share", _SHARES_ELSEWHERE)


def socket_path(given: object) -> str:
    return _path(given, r"(unix|tcp|udp|inet|vsock|fd|http)s?:.*", "a socket", _SOCKETS_ELSEWHERE)


# What is not on this host, and how it comes here.
_DISKS_ELSEWHERE = {
    r"file:.*": "write the path alone, as in `/srv/debian.qcow2`",
    r"(https?|ftp)://.*": "download it to this host, and name the file",
    rf"[a-z]+://.*|{_ELSEWHERE}": "connect it on this host, and name its block device",
    r"[a-z0-9][\w.-]*:[\w.-]+[,/].*": "of a storage of Proxmox write what `pvesm path STORAGE:VOLUME` prints",
}
_SOCKETS_ELSEWHERE = {
    r"unix:.*": "write the path alone, as in `/run/spdk.sock`",
    ".*": "vhost-user hands descriptors over, which takes a socket of this host: name its path",
}
_SHARES_ELSEWHERE = {r"[\w-]+(\.[\w-]+)*:/.*": "name a folder of this host: of another host's, where it is mounted"}


def _path(given: object, foreign: str, what: str, elsewhere: Mapping[str, str]) -> str:
    """A file may have any name; one that begins as options of other tools do is more often these."""
    found = text(given)
    if not re.fullmatch(foreign, found, re.DOTALL):
        return found
    way = next((way for form, way in elsewhere.items() if re.fullmatch(form, found, re.DOTALL)), None)
    help_ = (*((way,) if way else ()), _for_a_path(found, foreign))
    is_ = "its path" if what == "a socket" else "its path, or a mapping,"
    raise Problem(FOREIGN, f"{what} is {is_} and not {found[:80]}", help=help_).error()


def _for_a_path(found: str, foreign: str) -> str:
    """What is told works."""
    if re.fullmatch(foreign, f"./{found}", re.DOTALL):
        return "for a path of that name, make a link of another name (`ln -s`), and name that"
    return "for a path of that name, write `./` or `/` before it, and no colon before a /"


def interface(given: object) -> str:
    """The name of a bridge or a tap."""
    found = text(given)
    if re.fullmatch(INTERFACE, found):
        return found
    rule = f"Linux takes 1 to {LONGEST_INTERFACE} characters, without space, /, : and %"
    raise Problem("E142", f"not the name of a network interface: {found}", help=(rule,)).error()


def mac(given: object) -> str:
    """As that of a virtual function; but here whoever gives none gets one that stays."""
    found = text(given).lower()
    if found == NO_MAC:
        raise Problem("E131", f"{found} is no address, but the sign that there is none", help=_LEFT_OUT).error()
    if found == EVERYBODY:
        raise Problem("E131", f"{found} is the address of everybody (broadcast), not of a card", help=_LEFT_OUT).error()
    if re.fullmatch(addresses.MAC, found) and int(found[:2], 16) & MULTICAST:
        near = f"{int(found[:2], 16) & ~MULTICAST | 2:02x}{found[2:]}"
        message = f"{found} is the address of a group (multicast), not of a card"
        raise Problem("E131", message, help=(f"write `{near}`",), fix=near).error()
    return addresses.mac(given)


def user(given: object) -> bool:
    """`user: true`, or a mapping that says nothing more: of a text in its place only `user` is one."""
    if given is True or given == {}:
        return True
    if given is False:
        help_ = ("write `{bridge: br0}`, `{tap: tap0}` or `{socket: /run/engine.sock}`", "or take the NIC out")
        raise Problem("E140", "nothing says what the NIC is connected to", help=help_).error()
    if (meant := truth(given)) is not None:
        raise meant.error()
    if isinstance(given, str) and given.strip():
        raise unsaid(given.strip()).error()
    keys = ", ".join(f"`{key}`" for key in given)[:80] if isinstance(given, Mapping) else ""
    none = f"write `user: true`: a network by passt has no settings yet, so take {keys} out" if keys else ""
    raise replace(wrong_kind("`true` or `user`", given), help=(none or "write `user`, or `{bridge: br0}`",)).error()


_BY_USER = "`user`, which needs no rights, or `{bridge: virbr0}` for libvirt's own network"
# What other tools call a way to be connected, and no interface.
_KINDS_OF_NETWORK = {
    "nat": _BY_USER,
    "default": _BY_USER,
    **dict.fromkeys(("bridge", "bridged", "host"), "which one, as in `{bridge: br0}`"),
    "tap": "which one, as in `{tap: tap0}`",
    **dict.fromkeys(("passt", "slirp", "usernet", "masquerade"), "`user`"),
    **dict.fromkeys(
        ("macvtap", "macvlan", "direct"), "`{bridge: br0}`, and make the host's card a port of that bridge"
    ),
    **dict.fromkeys(
        ("virtio", "virtio-net", "virtio-net-pci", "e1000", "e1000e", "rtl8139", "vmxnet3", "igb"),
        "what it is connected to, as in `{bridge: br0}`: what the guest sees is virtio-net",
    ),
    **dict.fromkeys(("none", "off"), "nothing: take the NIC out"),
}


def is_interface(given: str) -> bool:
    """A name that reads as an interface's, and not as a way to be connected."""
    is_name = re.fullmatch(r"[\w.-]+", given) and re.fullmatch(INTERFACE, given)
    return bool(is_name) and given.lower() not in (*_KINDS_OF_NETWORK, "user")


def unsaid(given: str) -> Problem:
    """`lan: br0` may be a bridge or a tap."""
    help_: tuple[str, ...] = ()
    if meant := _KINDS_OF_NETWORK.get(given.lower()):
        help_ = (f"write {meant}",)
    elif is_interface(given):
        help_ = (f"if it is a bridge, write `{{bridge: {given}}}`", f"if it is a tap, write `{{tap: {given}}}`")
    rule = "of a NIC only `user` is said in one word: a network without rights, by passt"
    return Problem(FOREIGN, f"{given[:80]} does not say what the NIC is connected to", help=(*help_, rule))


def cid(given: object) -> int | str:
    """A context id, or `auto`: one that follows from the VM's name."""
    if given == AUTO and isinstance(given, str):
        return AUTO
    if type(given) is int and FIRST_CID <= given <= LAST_CID:
        return given
    rule = f"a context id is {FIRST_CID} to {LAST_CID}; `auto` takes one that follows from the VM's name"
    if isinstance(given, bool) or (truth(given) is not None and type(given) is not int):
        raise Problem("E144", f"not a context id: {str(given).lower()}", help=("write `auto`",), fix=AUTO).error()
    near = given.strip() if isinstance(given, str) and re.fullmatch(r"\s*[0-9]{1,10}\s*", given) else None
    fix = near if near is not None and FIRST_CID <= int(near) <= LAST_CID else None
    shown = str(given)[:80] if isinstance(given, str | int | float) else kind(given)
    if fix is not None:
        message = f"a context id is a number, and {shown} is in quotes"
        raise Problem("E144", message, help=(f"take them off: `{fix}`", rule), fix=fix).error()
    raise Problem("E144", f"not a context id: {shown}", help=(rule,)).error()


def tag_too_long(alias: str, path: FieldPath) -> Problem | None:
    """The key of a share is what the guest mounts it by."""
    if len(alias) <= LONGEST_TAG:
        return None
    fix = alias[:LONGEST_TAG].rstrip("-")
    message = f"the name of a share is its tag, which has at most {LONGEST_TAG} characters, and this has {len(alias)}"
    return Problem("E146", message, path, key=True, help=(f"write `{fix}`",), fix=fix)
