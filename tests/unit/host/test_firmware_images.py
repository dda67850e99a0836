"""Files of a host in; the firmware for guests that is taken, out: Debian 12's and 13's, Ubuntu's, and what is none."""

from __future__ import annotations

from hashlib import sha256

import pytest

from launcher.host.facts import FirmwareImage
from launcher.host.firmware_images import read_firmware_images
from launcher.host.tree import Recorded

OVMF, SEABIOS = "/usr/share/OVMF", "/usr/share/seabios/bios-256k.bin"
LARGE, SMALL = (f"{OVMF}/OVMF_CODE_4M.fd", f"{OVMF}/OVMF_VARS_4M.fd"), (f"{OVMF}/OVMF_CODE.fd", f"{OVMF}/OVMF_VARS.fd")
SECURE = f"{OVMF}/OVMF_CODE_4M.secboot.fd"
HOSTS = {
    "Debian 12": ((*LARGE, *SMALL, SECURE, SEABIOS), [LARGE[0], SMALL[0], SECURE], [SEABIOS]),
    "Debian 13, Ubuntu 24.04": ((*LARGE, SECURE, SEABIOS), [LARGE[0], SECURE], [SEABIOS]),
    "Secure Boot only": ((SECURE, f"{OVMF}/OVMF_VARS_4M.ms.fd"), [SECURE], []),
    "no template": ((LARGE[0],), [], []),
    "nothing": ((), [], []),
}


@pytest.mark.parametrize(("files", "uefi", "bios"), HOSTS.values(), ids=HOSTS)
def test_the_best_of_each_kind_comes_first(files: tuple[str, ...], uefi: list[str], bios: list[str]) -> None:
    tree = Recorded({}, blobs={path: path.encode() * 50 for path in files})
    assert [one.path for one in read_firmware_images(tree, ("uefi",))] == uefi
    assert [one.path for one in read_firmware_images(tree, ("bios",))] == bios


def test_it_is_known_by_what_it_holds_and_a_build_for_secure_boot_by_its_name() -> None:
    code, template = b"code" * 1024, bytes(range(200))
    tree = Recorded({}, blobs={LARGE[0]: code, LARGE[1]: template, SECURE: code})
    found, secure = read_firmware_images(tree, ("uefi",))
    digests = sha256(code).hexdigest(), sha256(template).hexdigest()
    assert found == FirmwareImage(LARGE[0], "uefi", 4096, digests[0], LARGE[1], 200, digests[1], template[:100].hex())
    assert secure == FirmwareImage(SECURE, "uefi", smm=True)


def test_one_that_may_not_be_read_is_none() -> None:
    tree = Recorded({}, blobs={LARGE[1]: b"t"}, denied=frozenset({LARGE[0]}))
    assert read_firmware_images(tree, ("uefi", "bios")) == ()
