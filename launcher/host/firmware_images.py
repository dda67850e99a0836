"""A Tree and which kinds are wanted in; the firmware for guests that is installed, out, the best of each kind first.

It is looked for where packages put it: Debian 12 and 13 and Ubuntu (ovmf, seabios), Fedora (edk2-ovmf, seabios-bin) and
Arch. Debian has OVMF in two sizes, of which the larger has room for more variables; Ubuntu 24.04 has that one only.
"""

from __future__ import annotations

from launcher.digests import sha256
from launcher.host.facts import FirmwareImage
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Literal
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from launcher.host.tree import Tree


class _Place(NamedTuple):
    """Where an image is, and the template of its variables; `smm`: a build for Secure Boot, by its name."""

    kind: Literal["bios", "uefi"]
    path: str
    template: str = ""
    smm: bool = False


_PLACES = (
    _Place("uefi", "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    _Place("uefi", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    _Place("uefi", "/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    _Place("uefi", "/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    _Place("uefi", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", smm=True),
    _Place("uefi", "/usr/share/OVMF/OVMF_CODE.secboot.fd", smm=True),
    _Place("uefi", "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", smm=True),
    _Place("uefi", "/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", smm=True),
    _Place("bios", "/usr/share/seabios/bios-256k.bin"),
)
_LARGEST = 16 << 20
_HEAD = 0x64  # what says how variables lie


def read_firmware_images(tree: Tree, wanted: Collection[str]) -> tuple[FirmwareImage, ...]:
    return tuple(found for one in _PLACES if one.kind in wanted for found in _found(one, tree))


def _found(one: _Place, tree: Tree) -> Iterator[FirmwareImage]:
    """One whose template is missing keeps no variables, and is not taken."""
    if isinstance(tree.status(one.path), Missing):
        return
    if one.smm:
        yield FirmwareImage(one.path, one.kind, smm=True)
        return
    code = tree.read_bytes(one.path, 0, _LARGEST)
    template = tree.read_bytes(one.template, 0, _LARGEST) if one.template else b""
    if isinstance(code, Missing) or isinstance(template, Missing):
        return
    yield FirmwareImage(
        one.path,
        one.kind,
        len(code),
        sha256(code),
        one.template,
        len(template),
        sha256(template) if template else "",
        template[:_HEAD].hex(),
    )
