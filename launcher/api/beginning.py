"""A name and a host in, a commented spec for that host out, with its kernels and what of its devices can be passed."""

from __future__ import annotations

import os
from glob import escape, glob

from launcher.report.first_spec import FoundKernel, first_spec
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts

# Where distributions have them: Debian, Fedora, openSUSE; Arch; and those without a /boot.
_KERNELS = ("boot/vmlinuz-*", "boot/vmlinuz", "usr/lib/modules/*/vmlinuz", "boot/vmlinux-*", "boot/bzImage*")
_INITRDS = ("boot/initrd.img-{0}", "boot/initramfs-{0}.img", "boot/initrd-{0}", "usr/lib/modules/{0}/initrd")
_MOST = 16  # kernels that are read
_MOST_FUNCTIONS = 2000  # functions that are all judged; of more, graphics cards


def begun_spec(name: str, host: HostFacts, root: str | None = "/") -> str:
    """Reads only. `root` is where the kernels of the host are; None: they are elsewhere."""
    from launcher.api.verdicts import Trials, of_class

    judged = host.pci if len(host.pci) <= _MOST_FUNCTIONS else of_class(host, "gpu")
    kernels = () if root is None else tuple(_kernels(host.kernel, root))
    return first_spec(name, host, Trials(host).verdicts(judged), kernels)


def _kernels(running: str, root: str) -> Iterator[FoundKernel]:
    """That of the host itself first, then the others from the newest name on."""
    found = [path for pattern in _KERNELS for path in sorted(glob(f"{escape(root)}/{pattern}"), reverse=True)]
    ordered = sorted(dict.fromkeys(found), key=lambda path: running not in path)
    seen = set[str]()
    for path in ordered[:_MOST]:
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield _kernel(os.path.normpath(path), root)


def _kernel(path: str, root: str) -> FoundKernel:
    from launcher.images.reading import read_boot_file

    one = read_boot_file(path)
    if isinstance(one, Missing):
        return FoundKernel(path, why="you may not read it" if one.missing == "denied" else one.missing)
    if one.kind not in ("bzimage", "pvh") or one.problem:
        return FoundKernel(path, why=one.problem or "no kernel that vmlaunch can start")
    return FoundKernel(path, _initrd(path, root))


def _initrd(path: str, root: str) -> str:
    """Of the same version, if this user may read it."""
    version = _version(path)
    for pattern in _INITRDS if version else ():
        candidate = os.path.normpath(f"{root}/{pattern.format(version)}")
        if os.access(candidate, os.R_OK):
            return candidate
    return ""


def _version(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2] if name == "vmlinuz" and "modules" in folder else name.partition("-")[2]
