"""What a file is by its signature in, its name in words and what to do where a kernel belongs out. Pure."""

from __future__ import annotations

from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.images.boot_files import BootFile

ACCEPTED = "name a bzImage (a distribution's /boot/vmlinuz-* is one) or an ELF file with a PVH entry, such as vmlinux"
_INITRD = "if it is an initial RAM disk, name it as `boot.initrd`"
_X86 = "take a kernel that is built for x86-64"
_DISK = "a disk image is no kernel: it goes into `disks:`, and its kernel is to be copied out of its /boot"
_NO_FIRMWARE = "a guest starts from its kernel, without firmware or boot loader"


class Content(NamedTuple):
    """`words` follow `is`; `ways` have the path where {} stands."""

    words: str
    ways: tuple[str, ...] = (ACCEPTED,)


def _compressed(by: str, unpack: str) -> Content:
    return Content(
        f"{'an' if by[0] in 'lx' else 'a'} {by}-compressed file",
        (f"if it is a kernel, unpack it: `{unpack} {{}} > vmlinux`, and name that", _INITRD),
    )


CONTENTS: dict[str, Content] = {
    "gzip": _compressed("gzip", "zcat"),
    "xz": _compressed("xz", "xzcat"),
    "zstd": _compressed("zstd", "zstdcat"),
    "lz4": _compressed("lz4", "lz4cat"),
    "bzip2": _compressed("bzip2", "bzcat"),
    "lzma": _compressed("lzma", "lzcat"),
    "lzo": _compressed("lzo", "lzop -dc"),
    "cpio": Content("a cpio archive, which is an initial RAM disk and no kernel", ("name it as `boot.initrd`",)),
    "old-cpio": Content(
        "a cpio archive of an old format", ("an initial RAM disk is made by `cpio -H newc -o`, and is no kernel",)
    ),
    "arm64-image": Content("an arm64 kernel Image", (_X86,)),
    "riscv-image": Content("a RISC-V kernel Image", (_X86,)),
    "arm-zimage": Content("a zImage for 32-bit ARM", (_X86,)),
    "efi-zboot": Content(
        "a compressed EFI kernel (zboot), as arm64, RISC-V and LoongArch have it", (_X86,)
    ),
    "efi": Content("an EFI program", (_NO_FIRMWARE, ACCEPTED)),
    "efi-ia32": Content("an EFI program for 32-bit x86", (_NO_FIRMWARE, ACCEPTED)),
    "efi-foreign": Content("an EFI program for another machine than x86", (_X86,)),
    "uki": Content(
        "a unified kernel image whose kernel cannot be started",
        ("build it again with a kernel for x86-64: `ukify build --linux=vmlinuz --initrd=initrd.img`",),
    ),
    "dos": Content("a program for DOS or Windows"),
    "uimage": Content("an image for U-Boot", ("name the kernel that it was made of",)),
    "device-tree": Content("a device tree or a FIT image", ("name the kernel alone: x86 guests need no device tree",)),
    "firmware-volume": Content("a UEFI firmware (OVMF or a part of it)", (_NO_FIRMWARE, ACCEPTED)),
    "bios": Content("a firmware (a BIOS such as SeaBIOS, or OVMF)", (_NO_FIRMWARE, ACCEPTED)),
    "option-rom": Content("an option ROM", ("a card's ROM is named as `rom` of its device", ACCEPTED)),
    "nvgi": Content("a dump of a graphics card's ROM", ("a card's ROM is named as `rom` of its device", ACCEPTED)),
    "iso": Content(
        "an ISO 9660 image",
        ("copy the kernel out of it, and its initial RAM disk: `bsdtar -tf {} | grep -i vmlinuz` finds it",),
    ),
    "qcow2": Content("a qcow2 disk image", (_DISK,)),
    "vmdk": Content("a VMDK disk image", (_DISK,)),
    "vdi": Content("a VDI disk image", (_DISK,)),
    "vhd": Content("a VHD disk image", (_DISK,)),
    "vhdx": Content("a VHDX disk image", (_DISK,)),
    "qed": Content("a QED disk image", (_DISK,)),
    "parallels": Content("a disk image of Parallels", (_DISK,)),
    "raw-disk": Content("a disk image or a boot sector (MBR, GPT or LVM)", (_DISK,)),
    "luks": Content("an encrypted disk (LUKS)", (_DISK,)),
    "file-system": Content("the image of a file system", (_DISK,)),
    "zip": Content("a packed archive (zip or 7z)", ("unpack it, and name the kernel in it",)),
    "tar": Content("a tar archive", ("unpack it, and name the kernel in it: `tar -xf {}`",)),
    "deb": Content("a Debian package", ("unpack it: `dpkg-deb -x {} .`, and name ./boot/vmlinuz-*",)),
    "rpm": Content("an RPM package", ("unpack it: `rpm2cpio {} | cpio -id`, and name the vmlinuz in it",)),
    "git-lfs": Content("a Git LFS pointer in place of the file", ("fetch the file itself: `git lfs pull`",)),
    "script": Content("a script", (ACCEPTED,)),
    "html": Content("an HTML page, as a download that failed leaves it", ("download it again", ACCEPTED)),
    "text": Content("a text file", (ACCEPTED,)),
    "zeros": Content("nothing but zeros", ("copy or build it again",)),
    "ones": Content("nothing but bytes of ones", ("copy or build it again",)),
    "huge": Content("larger than 8 GiB, as nothing is that a guest starts with", (ACCEPTED,)),
    "special": Content("no regular file", (ACCEPTED,)),
    "elf-foreign": Content("an ELF file for another machine", (_X86,)),
    "elf-program": Content("an ELF program for an operating system, and no kernel", (ACCEPTED,)),
    "elf-object": Content("an object file or a kernel module", (ACCEPTED,)),
    "elf-core": Content("a core dump", (ACCEPTED,)),
    "elf-damaged": Content("a damaged ELF file", ("copy or build it again",)),
    "multiboot": Content(
        "a Multiboot program, such as Xen or GRUB, without a PVH entry",
        ("vmlaunch starts bzImage and PVH kernels: to have Linux, name its kernel itself",),
    ),
}  # fmt: skip


def named(file: BootFile) -> str | None:
    """`is a gzip-compressed file`, where the signature is known."""
    found = CONTENTS.get(file.content or "")
    return f"is {found.words}" if found else None


def ways_out(file: BootFile) -> tuple[str, ...]:
    """For a kernel."""
    found = CONTENTS.get(file.content or "")
    if found is None:
        return ()
    from launcher.shell import quote

    return tuple(way.format(quote(file.path)) for way in found.ways)
