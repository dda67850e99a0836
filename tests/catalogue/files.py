"""The rows about files that a spec names, each with its own: option ROMs, kernels, command lines."""

from __future__ import annotations

import gzip

from tests.catalogue.row import ONE, Row, hosted
from tests.elves import Part, elf64, pvh
from tests.linux_images import bzimage
from tests.option_roms import image

_START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\n"
WITH_ROM = f"{_START}devices: {{gpu: {{pci: 0000:09:00.0, rom: ./gpu.rom}}}}\n"  # 10de:21c4
OF_THE_CARD = {"gpu.rom": image(device=0x21C4)}
LINUX, PVH = {"bzImage": bzimage()}, {"bzImage": pvh()}


def linux(cmdline: str, initrd: bool = False) -> str:
    more = ", initrd: ./initrd.img" if initrd else ""
    return ONE.replace("./bzImage}", f"./bzImage{more}, cmdline: '{cmdline}'}}")


def _rom(code: str, variant: str, content: bytes, near: bytes = OF_THE_CARD["gpu.rom"]) -> Row:
    dumped = hosted("dumped-rom")
    files, near_files = {"gpu.rom": content}, {"gpu.rom": near}
    return Row("option-rom", code, dumped, dumped, WITH_ROM, variant=variant, files=files, near_files=near_files)


def _kernel(code: str, variant: str, content: bytes, near: bytes) -> Row:
    server = hosted("gpu07")
    files, near_files = {"bzImage": content}, {"bzImage": near}
    return Row(
        "kernel-not-startable",
        code,
        server,
        server,
        linux("console=ttyS0 root=/dev/nvme0n1p2"),
        variant=variant,
        files=files,
        near_files=near_files,
    )


def _line(code: str, variant: str, cmdline: str, near: str) -> Row:
    server = hosted("gpu07")
    return Row(
        "guest-mute-or-rootless", code, server, server, linux(cmdline), linux(near), variant=variant, files=LINUX
    )


ROWS = (
    _rom("E430", "zeros", bytes(4096)),
    _rom("E430", "header-of-a-dump", b"NVGI" + bytes(0x5FC) + OF_THE_CARD["gpu.rom"]),
    _rom("W430", "of-another-card", image(device=0x2182), image(device=0x2182, devices=(0x2182, 0x21C4))),
    _rom("W431", "half", OF_THE_CARD["gpu.rom"][:1024]),
    _rom("W432", "edited", OF_THE_CARD["gpu.rom"][:-1] + b"\x01"),
    _kernel("E415", "too-old", bzimage(0x207), bzimage(0x20C)),
    _kernel("E416", "no-entry", elf64([Part(0x100000, b"code")]), pvh()),
    _kernel("E417", "compressed", gzip.compress(pvh(), mtime=0), pvh()),
    _kernel("E418", "a-script", b"#!/bin/sh\nexec true\n", bzimage(release=b"")),
    _line("W433", "no-console", "root=/dev/nvme0n1p2", "console=ttyS0 root=/dev/nvme0n1p2"),
    _line("W434", "no-such-root", "console=ttyS0 root=/dev/vda1", "console=ttyS0 root=/dev/nvme0n1p1"),
    _line("W435", "no-root", "console=ttyS0", "console=ttyS0 rdinit=/init"),
)  # fmt: skip
WITHOUT_RULE: dict[str, str] = {}
