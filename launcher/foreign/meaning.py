"""What both libvirt and QEMU say, in the words of either, in; the same in a draft out. Pure."""

from __future__ import annotations

import re

from launcher.errors import Diagnostic, Refused, Where
from launcher.foreign.draft import Draft
from launcher.foreign.sizes import pages_of, rounded
from launcher.spec.fields import stands
from launcher.spec.sizes import size_text
from launcher.typed import Any
from launcher.values import GIB, KIB, MIB

X86 = ("x86_64", "x86-64", "amd64", "i386", "i486", "i586", "i686")
_SIZES = {"2MiB": 2 * MIB, "1GiB": GIB, "4KiB": 4 * KIB}

CONVERT = "only raw and qcow2 are served: `qemu-img convert -O qcow2 {path} {path}.qcow2`, and name that"


def check_architecture(word: str, file: str, line: int) -> None:
    if word and word.lower() not in X86:
        help_ = ("take a guest of x86-64: an image of one runs, whatever it ran on before",)
        fact = f"the machine is of {word}, and vmlaunch runs guests of x86-64"
        raise Refused(Diagnostic("E026", fact, Where(file, line, 1, 1), help=help_))


def bank(draft: Draft, size: int, line: int, pages: str = "", node: int | None = None) -> None:
    """A part of the memory, rounded up to what its pages have."""
    whole = rounded(size, _SIZES.get(pages, 4 * KIB))
    if whole != size:
        draft.lose(f"{size} bytes of memory", f"memory is whole pages: {size_text(whole)}", line, "memory")
    plain: dict[str, Any] = {"size": size_text(whole)}
    draft.memory.append(plain | ({"pages": pages} if pages else {}) | ({} if node is None else {"node": node}))


def secure_boot(draft: Draft, line: int) -> None:
    why = "there is none: signed boot loaders start all the same, and nobody checks their signatures"
    draft.lose("Secure Boot", why, line, "boot")


def huge_pages(draft: Draft, size: int | None, line: int) -> str:
    """Where the size is not said, it is the host's default."""
    if size is None:
        draft.lose("huge pages of the host's default size", "here the size is said: 2MiB or 1GiB", line, "memory")
        return "2MiB"
    found = pages_of(size)
    if not found:
        draft.lose(f"huge pages of {size} bytes", "x86 has pages of 4KiB, 2MiB and 1GiB", line, "memory")
    return found


def topology(draft: Draft, count: int, parts: dict[str, int], line: int) -> None:
    """`parts` may have dies, clusters and modules, which are more cores here."""
    cores = parts.get("cores", 1)
    for between in ("dies", "clusters", "modules"):
        if parts.get(between, 1) != 1:
            cores *= parts[between]
            draft.lose(f"{between}={parts[between]}", "they are cores here", line, "cpus")
    sockets, threads = parts.get("sockets", 1), parts.get("threads", 1)
    if sockets * cores * threads != count:
        shown = f"{sockets} sockets of {cores} cores of {threads} threads"
        draft.lose(shown, f"they are not the {count} vCPUs that the guest starts with", line, "cpus")
    elif sockets > 1 or threads > 1:
        whole = {"sockets": sockets, "cores": cores, "threads": threads}
        draft.cpus["topology"] = {key: value for key, value in whole.items() if key == "cores" or value > 1}


def pins(draft: Draft, cpus: list[str]) -> bool:
    """One CPU of the host for each vCPU, in order; not if one has several or none."""
    if not all(re.fullmatch("[0-9]{1,5}", one) for one in cpus) or len(set(cpus)) != len(cpus):
        return False
    numbers = [int(one) for one in cpus]
    row = numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 1
    draft.cpus["pin"] = f"{numbers[0]}-{numbers[-1]}" if row else numbers
    return True


def disk(draft: Draft, alias: str, path: str, image: str, line: int, *, readonly: bool, **more: Any) -> str | None:
    """`image` is the format in the other tool's word; nothing if it does not say."""
    known = image in ("raw", "qcow2") or (not image)
    if not known:
        draft.lose(f"the disk {path}, of the format {image}", CONVERT.format(path=path), line)
        return None
    if not stands("disks.path", path):
        path = f"./{path}"  # a file of the working directory whose name looks like options
    entry: dict[str, Any] = {"path": path}
    named = "qcow2" if path.endswith(".qcow2") else "raw"
    if image and image != named:
        entry["format"] = image
    entry |= {"readonly": True} if readonly else {}
    entry |= {key: value for key, value in more.items() if value and not (key == "discard" and readonly)}
    return draft.add("disks", alias, entry)


def boot_order(draft: Draft, kind: str, alias: str, order: str, line: int) -> None:
    if not draft.firmware:
        draft.skip(f"boot order {order} of {alias}", "a kernel that is named starts at once", line)
    elif not re.fullmatch("[1-9][0-9]{0,2}", order):
        draft.lose(f"boot order {order}", "orders are 1 to 999", line, kind, alias)
    elif int(order) in draft.orders:
        draft.lose(f"boot order {order}", "another one has it", line, kind, alias)
    else:
        draft.orders.add(int(order))
        draft.entries[kind][alias]["boot-order"] = int(order)


def variables(draft: Draft, path: str, line: int) -> None:
    """UEFI's, where its boot entries are."""
    why = (
        "without `boot: {firmware: uefi, variables: ...}` they are made anew each time, and without the boot entry "
        "that an installer has written in them the firmware looks for EFI/BOOT/BOOTX64.EFI"
    )
    draft.lose(f"UEFI's variables {path}".rstrip(), why, line, "boot")


def other_bus(draft: Draft, alias: str, bus: str, device: str, name: str, line: int) -> None:
    """A disk is virtio-blk here: its name in the guest, and the driver that its initial RAM disk needs, may differ."""
    if device == "cdrom":
        why = "it is a disk of virtio-blk that is only read: /dev/vdX, and no /dev/sr0"
        draft.lose("a CD drive", why, line, "disks", alias)
    elif bus not in ("virtio", ""):
        shown = f" ({name})" if name else ""
        why = "it is virtio-blk here: /dev/vdX in the guest, whose initial RAM disk needs virtio_blk"
        draft.lose(f"the bus {bus}{shown}", why, line, "disks", alias)


def other_card(draft: Draft, alias: str, model: str, line: int) -> None:
    if not model.startswith("virtio"):
        draft.lose(f"the model {model}", "it is virtio-net here: the guest needs virtio_net", line, "nics", alias)


def other_share(draft: Draft, alias: str, tag: str, driver: str, line: int) -> None:
    mount = f"`mount -t virtiofs {alias} /mnt` in the guest"
    if driver != "virtiofs":
        draft.lose("a share by 9p", f"it is virtiofs here: {mount}", line, "shares", alias)
    if tag and tag != alias:
        draft.lose(f"the tag {tag}", f"tags have a-z, 0-9 and - only: {mount}", line, "shares", alias)
