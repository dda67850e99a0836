"""The distribution's packages -> a disk image as people have them, in the cache: GPT, GRUB for both firmwares, systemd,
cloud-init, ssh. Made in minutes, again when its recipe changes. It takes root, and no loop device.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.initramfs import archive, modules
from tests.lab.packages import CACHE, CODENAME, Archive, Missing, Unavailable, new_folder, say
from tests.lab.pieces import Kernel, busybox, kernel_in, unpack_kernel

HERE = Path(__file__).parent
KERNELS = ("linux-image-cloud-amd64", "linux-image-virtual")  # Debian's and Ubuntu's names of the one for guests
PACKAGES = """
    systemd-sysv udev dbus kmod iproute2 sudo openssh-server cloud-init cloud-guest-utils e2fsprogs efibootmgr pciutils
    grub-common grub-efi-amd64-bin grub-pc-bin dosfstools mtools fdisk
""".split()  # noqa: SIM905
LEFT_OUT = ("man", "doc", "locale", "info")  # of /usr/share
DRIVERS = ["virtio_pci", "virtio_blk", "nvme", "ext4"]  # those that the kernel has not built in
SIZE = 2 << 30
SECTOR = 512
CORE, ESP, ROOT = 2048, 4096, 36864  # sectors where finish.sh has the partitions


def image() -> Path:
    """Raw. Who writes to it takes a qcow2 image that is based on it."""
    folder = CACHE / f"image-{_digest()[:12]}"
    if not folder.exists():
        with new_folder(folder) as making:
            _make(making)
        for old in CACHE.glob("image-*"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
    return folder / "disk"


def kernel() -> Path:
    """The one that is in it: a kernel for guests, which has the drivers of NVMe and ext4 built in."""
    return image().with_name("vmlinuz")


def _digest() -> str:
    recipe = sorted(path for path in HERE.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in recipe)).hexdigest()


def _make(folder: Path) -> None:
    if os.geteuid():
        raise Unavailable("the disk image for the tests is made by root: its files belong to root")
    if shutil.which("mmdebstrap") is None:
        raise Unavailable("there is no mmdebstrap: install it")
    files = Archive()
    tree = folder / "tree"
    _bootstrap(files, tree)
    unpack_kernel(files, folder / "kernel", KERNELS)
    unpacked = kernel_in(folder / "kernel")
    _add_kernel(unpacked, tree)
    (tree / "made").mkdir()
    _run(["chroot", tree, "/bin/sh", "-s", str(SIZE)], given=(HERE / "finish.sh").read_bytes())
    made = folder / "made"
    (tree / "made").rename(made)
    _assemble(made, tree)
    (made / "disk").rename(folder / "disk")
    unpacked.image.rename(folder / "vmlinuz")
    for name in ("tree", "made", "kernel"):
        shutil.rmtree(folder / name)


def _bootstrap(files: Archive, tree: Path) -> None:
    say(f"making a disk image of {CODENAME} from its packages: a few minutes")
    leave = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    options = ("--mode=root", "--variant=minbase", "--format=directory", f"--include={','.join(PACKAGES)}", *leave)
    # What it mounts there goes with the last of its processes, whatever they die of: the folder may be removed.
    _run(["unshare", "--mount", "mmdebstrap", "--quiet", *options, CODENAME, tree, "-"], given=files.sources().encode())


def _add_kernel(unpacked: Kernel, tree: Path) -> None:
    """As its package has it, with an initrd of ours."""
    assert unpacked.modules is not None
    drivers = {"bin/busybox": busybox().read_bytes(), "init": (HERE / "init.sh").read_bytes()}
    shutil.copytree(unpacked.modules, tree / "usr/lib/modules" / unpacked.modules.name)
    shutil.copy(unpacked.image, tree / "boot")
    (tree / "boot" / f"initrd.img-{unpacked.modules.name}").write_bytes(archive(drivers | modules(unpacked, DRIVERS)))


def _assemble(made: Path, tree: Path) -> None:
    """What finish.sh made and the root file system, each where the partition table has it."""
    disk = made / "disk"
    size = SIZE // SECTOR - ROOT - 2048  # the last sectors are the table's second copy
    place = f"root_owner=0:0,offset={ROOT * SECTOR}"
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin") or "mke2fs"
    _run([mke2fs, "-q", "-F", "-t", "ext4", "-L", "root", "-E", place, "-d", tree, disk, f"{size // 2}k"])
    boot, core = (bytearray((made / name).read_bytes()) for name in ("boot.img", "core.img"))
    with disk.open("r+b") as image:
        image.write(_boot_sector(boot))
        image.seek(CORE * SECTOR)
        image.write(_with_blocks(core))
        image.seek(ESP * SECTOR)
        image.write((made / "esp").read_bytes())


def _boot_sector(boot: bytearray) -> bytes:
    """What grub-bios-setup would write: the sector of its core. The table's own bytes, from 440 on, stay."""
    boot[0x5C:0x64] = CORE.to_bytes(8, "little")
    return bytes(boot[:440])


def _with_blocks(core: bytearray) -> bytes:
    """Its first sector reads the others: at its end are their first one, how many, and the segment they go to."""
    others = (len(core) - 1) // SECTOR
    core[0x1F4:0x200] = b"".join(
        (
            (CORE + 1).to_bytes(8, "little"),
            others.to_bytes(2, "little"),
            (0x820).to_bytes(2, "little"),
        )
    )
    return bytes(core)


def _run(command: list[str | Path], given: bytes = b"") -> None:
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise Missing(f"failed to run {' '.join(map(str, command[:3]))}:\n" + "\n".join(said[-15:]))
