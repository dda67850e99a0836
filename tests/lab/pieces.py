"""What a lab host is made of: QEMU, a kernel with its modules, busybox. Taken from the cache, fetched on first use."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.packages import CACHE, Archive, Missing, Unavailable, new_folder, say

CONFIG = Path(__file__).parent / "kernel.config"
KERNEL_PACKAGES = ("linux-image-amd64", "linux-image-generic")  # Debian's name, Ubuntu's name
KERNEL_PARTS = re.compile(r"linux-(image|modules|modules-extra)-[0-9]")
BUSYBOX, LINUX, MEMTEST = "busybox-static", "linux-image", "memtest86+"  # folders in the cache
VARIABLE = "VMLAUNCH_LAB_KERNEL"


@dataclass(frozen=True)
class Kernel:
    image: Path
    modules: Path | None = None  # lib/modules/RELEASE; None when all that the lab needs is built in


def qemu() -> str:
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        raise Unavailable("there is no qemu-system-x86_64: install qemu-system-x86")
    return found


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


def distribution_kernel() -> Kernel:
    folder = CACHE / LINUX
    if not folder.exists():
        with new_folder(folder) as making:
            archive = Archive()
            archive.unpack(_kernel_parts(archive), making)
            say("listing the dependencies of its modules")
            modules = _modules(making)
            depmod = shutil.which("depmod", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
            if depmod is None:
                raise Missing("there is no depmod: install kmod")
            subprocess.run([depmod, "-b", modules.parent.parent.parent, modules.name], check=True)
    return Kernel(next(folder.glob("boot/vmlinuz-*")), _modules(folder))


def own_kernel() -> Kernel | None:
    """The one that the environment names, else the one that `./dev lab kernel` built from the present configuration."""
    named = os.environ.get(VARIABLE)
    if named and not Path(named).is_file():
        raise Missing(f"{VARIABLE} names {named}, and there is no such file")
    image = Path(named) if named else own_kernel_folder() / "bzImage"
    return Kernel(image) if image.exists() else None


def own_kernel_folder() -> Path:
    digest = hashlib.sha256(CONFIG.read_bytes()).hexdigest()
    return CACHE / f"own-kernel-{digest[:12]}"


def _modules(folder: Path) -> Path:
    return next(path for place in ("lib", "usr/lib") for path in folder.glob(f"{place}/modules/*"))


def _kernel_parts(archive: Archive) -> list[str]:
    """The packages behind the name that always means the newest kernel of the release."""
    found: list[str] = []
    looking = [name for name in KERNEL_PACKAGES if archive.version(name)][:1]
    while looking:
        parts = {name for name in archive.depends(looking.pop()) if KERNEL_PARTS.match(name)}
        looking += parts - set(found)
        found += sorted(parts - set(found))
    if not found:
        raise Missing(f"the package sources of this machine have none of {', '.join(KERNEL_PACKAGES)}")
    return found


def forget() -> None:
    """What was fetched is fetched anew by the next who needs it."""
    for name in (BUSYBOX, LINUX, MEMTEST):
        shutil.rmtree(CACHE / name, ignore_errors=True)
