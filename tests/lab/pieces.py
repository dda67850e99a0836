"""What a lab host is made of: QEMU, a kernel with its modules, busybox. Taken from the cache, fetched on first use."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.packages import CACHE, CODENAME, Archive, Missing, Unavailable, new_folder, say

FOLDER = Path(__file__).parent
KERNEL_PACKAGES = ("linux-image-amd64", "linux-image-generic")  # Debian's name, Ubuntu's name
KERNEL_PARTS = re.compile(r"linux-(image|modules|modules-extra)-[0-9]")
BUSYBOX, LINUX, MEMTEST, OVMF = "busybox-static", "linux-image", "memtest86+", "ovmf"  # folders in the cache
OTHER_RELEASE = {"bookworm": "trixie", "trixie": "bookworm"}  # that the same mirror has


@dataclass(frozen=True)
class Recipe:
    """A kernel of our own: what `./dev lab kernel` calls it, the variable that names another image, and the files of
    what it has beyond tinyconfig. `newest`: of the newest source that the mirror has for any release."""

    name: str
    variable: str
    configs: tuple[str, ...]
    newest: bool = False

    def config(self) -> str:
        """Of two lines on one symbol the last one counts."""
        return "".join((FOLDER / name).read_text() for name in self.configs)


OWN = Recipe("own", "VMLAUNCH_LAB_KERNEL", ("kernel.config",))
COMPAT = Recipe("compat", "VMLAUNCH_LAB_COMPAT_KERNEL", ("kernel.config", "compat.config"), newest=True)
RECIPES = {one.name: one for one in (OWN, COMPAT)}


@dataclass(frozen=True)
class Kernel:
    image: Path
    modules: Path | None = None  # lib/modules/RELEASE; None when all that the lab needs is built in


def qemu() -> str:
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        raise Unavailable("there is no qemu-system-x86_64: install qemu-system-x86")
    return found


def version_of_qemu() -> str:
    """As it says it: numbers, and in brackets those of the package."""
    done = subprocess.run([qemu(), "--version"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[0]


def processor(version: str) -> str:
    """What QEMU is to emulate. Before 9.2 and 7.2.15 ("target/i386: Walk NPT in guest real mode") it leaves out nested
    tables where a guest has no paging, which then reads the host's memory, as in Ubuntu 24.04's 8.2.2. KVM does
    without them there, and a guest takes twice as long."""
    numbers = tuple(map(int, re.findall(r"[0-9]+", version)[:3]))
    return "EPYC" if (7, 2, 15) <= numbers < (8,) or numbers >= (9, 2) else "EPYC,npt=off"


def busybox() -> Path:
    folder = CACHE / BUSYBOX
    if not folder.exists():
        with new_folder(folder) as making:
            Archive().unpack(["busybox-static"], making)
    return next(path for path in (folder / "bin/busybox", folder / "usr/bin/busybox") if path.exists())


def memtest() -> Path:
    """memtest86+ as a boot loader of Linux takes it."""
    folder = CACHE / MEMTEST
    if not folder.exists():
        with new_folder(folder) as making:
            Archive().unpack(["memtest86+"], making)
    return folder / "boot/memtest86+x64.bin"


def other_firmware() -> Path | None:
    """/usr/share/OVMF as another release has it; None where this is no Debian."""
    folder, release = CACHE / OVMF, OTHER_RELEASE.get(CODENAME)
    if release is None:
        return None
    if not folder.exists():
        with new_folder(folder) as making:
            Archive(release=release).unpack(["ovmf"], making)
    return folder / "usr/share/OVMF"


def distribution_kernel() -> Kernel:
    folder = CACHE / LINUX
    if not folder.exists():
        with new_folder(folder) as making:
            unpack_kernel(Archive(), making, KERNEL_PACKAGES)
    return kernel_in(folder)


def unpack_kernel(archive: Archive, folder: Path, names: tuple[str, ...]) -> None:
    """Of the first package that there is, with its modules."""
    archive.unpack(_kernel_parts(archive, names), folder)
    say("listing the dependencies of its modules")
    modules = _modules(folder)
    depmod = shutil.which("depmod", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if depmod is None:
        raise Missing("there is no depmod: install kmod")
    subprocess.run([depmod, "-b", modules.parent.parent.parent, modules.name], check=True)


def kernel_in(folder: Path) -> Kernel:
    return Kernel(next(folder.glob("boot/vmlinuz-*")), _modules(folder))


def own_kernel(recipe: Recipe = OWN) -> Kernel | None:
    """The one that the environment names, else the one that `./dev lab kernel` built from the present configuration."""
    named = os.environ.get(recipe.variable)
    if named and not Path(named).is_file():
        raise Missing(f"{recipe.variable} names {named}, and there is no such file")
    image = Path(named) if named else own_kernel_folder(recipe) / "bzImage"
    return Kernel(image) if image.exists() else None


def own_kernel_folder(recipe: Recipe = OWN) -> Path:
    digest = hashlib.sha256(recipe.config().encode()).hexdigest()
    return CACHE / f"{recipe.name}-kernel-{digest[:12]}"


def _modules(folder: Path) -> Path:
    return next(path for place in ("lib", "usr/lib") for path in folder.glob(f"{place}/modules/*"))


def _kernel_parts(archive: Archive, names: tuple[str, ...]) -> list[str]:
    """The packages behind the name that always means the newest kernel of the release."""
    found: list[str] = []
    looking = [name for name in names if archive.version(name)][:1]
    while looking:
        parts = {name for name in archive.depends(looking.pop()) if KERNEL_PARTS.match(name)}
        looking += parts - set(found)
        found += sorted(parts - set(found))
    if not found:
        raise Missing(f"the package sources of this machine have none of {', '.join(names)}")
    return found


def forget() -> None:
    """What was fetched is fetched anew by the next who needs it."""
    for name in (BUSYBOX, LINUX, MEMTEST, OVMF):
        shutil.rmtree(CACHE / name, ignore_errors=True)
    for made in CACHE.glob("image-*"):  # of such packages
        shutil.rmtree(made, ignore_errors=True)
