"""Rules about what an image is based on: each link is there, a file, and of a format that is said. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.disk_files import MOST_LINKS
from launcher.planner.rules.disk_images import disks_there, where
from launcher.planner.rules.rule import Rule
from launcher.shell import quote
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.images.disk_files import Broken, Disk
    from launcher.planner.decided import Situation

_WORDS = {
    "absent": ("E614", "{by} is based on {path}, which is not there"),
    "denied": ("E601", "{by} is based on {path}, which may not be read"),
    "asleep": ("E602", "{by} is based on {path}, which cannot be read"),
    "unreadable": ("E602", "{by} is based on {path}, which cannot be read"),
    "loop": ("E615", "{by} is based on {path}, which is based on it in turn"),
    "long": ("E615", f"it is based on more than {MOST_LINKS} images, one on the other"),
    "remote": ("E616", "{by} is based on {name}, which is no file of this host"),
    "foreign": ("E616", "{by} is based on {path} of the format {format}"),
    "unsaid": ("E616", "{by} is based on {path}, does not say in which format, and that begins as qcow2 does"),
}
_PROTOCOLS = ("file", "host_device")  # of QEMU's, which `qemu-img create -F` takes for a format, too


def _chain(it: Situation) -> Iterator[Diagnostic]:
    for alias, disk in disks_there(it):
        if disk.broken is not None:
            yield _broken(alias, disk, disk.broken)


def _broken(alias: str, disk: Disk, end: Broken) -> Diagnostic:
    code, words = _WORDS[end.kind]
    fact = words.format(by=end.by, path=end.path, name=end.name, format=end.format)
    links = (*(one.path for one in disk.chain), end.path or end.name)
    evidence = tuple(f"{'-> ' * bool(number)}{link}" for number, link in enumerate(links[:8]))
    more = (f"-> and {len(links) - 8} more",) if len(links) > 8 else ()
    return Diagnostic(
        code,
        f"{alias}: {fact}",
        where(alias),
        (*evidence, *more) if len(links) > 1 else (),
        _ways(end, disk.chain[-1].real),
    )


def _ways(end: Broken, real: str | None) -> tuple[str, ...]:
    """`real`: what the name of the image leads to, which is a link."""
    by, path = quote(end.by), quote(end.name)
    rebase = f"qemu-img rebase -u -F qcow2 -b {path} {by}"
    if end.kind == "absent":
        way = f"{end.by} is named through a link: if the base is beside what that leads to, name that, {real}"
        return (
            *((way,) if real else ()),
            "put it there; a name without / is looked for beside the image that has it",
            f"or say where it is now: `qemu-img rebase -u -F raw -b NEW {by}`, with its format",
        )
    if end.kind == "unsaid":
        raw = f"qemu-img rebase -u -F raw -b {path} {by}"
        return (
            f"if it was made as qcow2: `{rebase}`",
            f"if a guest had it as a raw disk: `{raw}`, for the guest may have written that header",
        )
    one_image = f"make one image of all: `qemu-img convert -O qcow2 {by} whole.qcow2`"
    if end.format in _PROTOCOLS:
        return (f"it is a raw disk, say so: `qemu-img rebase -u -F raw -b {path} {by}`",)
    if end.kind in ("remote", "foreign", "long"):
        return (one_image,)
    if end.kind == "loop":
        return (f"name the right one: `qemu-img rebase -u -F qcow2 -b BASE {by}`",)
    return ("make it readable for the user that serves the image above",)


RULES: tuple[Rule, ...] = (Rule("kernel", _chain),)
