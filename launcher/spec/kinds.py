"""A word for a kind of device in, which PCI functions it means out: the one table for spec, rules, verbs and docs.

Classes are those of the PCI Code and ID Assignment Specification 1.15. They say what registers a function has and not
what people have it for, so ids add to them and take away; each says from where it is known.
"""

from __future__ import annotations

from launcher.patterns import re
from launcher.record import record


@record
class Those:
    """Functions whose class code and id (vendor:device) begin like this; an empty text leaves it open."""

    class_code: str = ""
    id: str = ""

    def have(self, class_code: str, id_: str) -> bool:
        return class_code.startswith(self.class_code) and id_.startswith(self.id)


@record
class Kind:
    """`means` is for people; `near` are other words for it, in lower case. `none`: why there are no such functions."""

    word: str
    means: str
    those: tuple[Those, ...]
    but: tuple[Those, ...] = ()
    near: tuple[str, ...] = ()
    none: str = ""

    def has(self, class_code: str, id_: str) -> bool:
        found = any(one.have(class_code, id_) for one in self.those)
        return found and not any(one.have(class_code, id_) for one in self.but)


def _ids(vendor: str, *devices: str) -> tuple[Those, ...]:
    return tuple(Those(id=f"{vendor}:{device}") for device in devices)


# They show the picture of a management controller (BMC) or of a virtual machine and compute nothing: Linux has only a
# driver that sets modes for them. Ids are those of the drivers in drivers/gpu/drm.
_ONLY_A_PICTURE = (
    *_ids("1a03", "2000", "2010"),  # ast: ASPEED AST2000 to AST2700
    *_ids("102b", "0520", "0521", "0522", "0524", "0530", "0532", "0533", "0534", "0536", "0538", "053a"),  # mgag200
    *_ids("19e5", "1711"),  # hisilicon/hibmc
    *_ids("126f", "0750"),  # Silicon Motion SM750 (drivers/staging/sm750fb)
    *_ids("18ca", "0020", "0021"),  # XGI Z7 and Z9 (drivers/video/fbdev/sis, drivers/staging/xgifb)
    *_ids("1234", "1111"),  # tiny/bochs: QEMU's standard VGA
    *_ids("1013", "00b8"),  # tiny/cirrus-qemu
    *_ids("1b36", "0100"),  # qxl
    *_ids("80ee", "beef"),  # vboxvideo
    *_ids("1414", "5353"),  # hyperv
)

# Made into whatever one likes, with the class that the design says: by vendor, or by the ids of drivers/fpga/dfl-pci.c.
_FPGA = (
    Those(id="10ee:"),  # Xilinx, AMD's today
    Those(id="1172:"),  # Altera
    Those(id="1204:"),  # Lattice
    *_ids("1d0f", "f000", "f001", "f010"),  # Amazon EC2 F1 (pci.ids)
    *_ids("8086", "bcbd", "bcbf", "bcc0", "bcc1", "09c4", "09c5", "0b2b", "0b2c", "0b30", "af00", "bcce", "bccf"),
)

# Neural processors inside of Intel's CPUs (drivers/accel/ivpu/ivpu_drv.h): of class 1200, too.
_NEURAL = _ids("8086", "7d1d", "ad1d", "643e", "b03e", "fd3e", "d71d")

_INFINIBAND = (
    Those("0207"),
    Those("0208"),  # fabric controllers: Omni-Path (drivers/infiniband/hw/hfi1)
    Those("0c06"),  # until ConnectX-2
    Those("0280", "15b3:"),  # ConnectX-3 whose ports may be either (pci.ids; drivers/net/ethernet/mellanox/mlx4)
)
_WIFI = (Those("0280"), Those("0d20"), Those("0d21"))

KINDS = (
    Kind(
        "gpu", "graphics cards and accelerators (03, 1200), without the displays of BMCs, FPGAs and neural processors",
        (Those("03"), Those("1200")), (*_ONLY_A_PICTURE, *_FPGA, *_NEURAL),
        ("graphics", "accelerator", "gpus", "card", "cuda", "rocm", "gaudi", "instinct", "3d", "vga", "video", "vgpu",
         "vga-compatible-controller", "3d-controller", "processing-accelerators"),
    ),
    Kind(
        "display", "whatever shows a picture, also that of a BMC (03)", (Those("03"),),
        near=("bmc", "screen", "monitor", "framebuffer", "display-controller"),
    ),
    Kind(
        "network", "network cards of all kinds (02, 0c06, 0d20, 0d21)", (Those("02"), *_INFINIBAND, *_WIFI),
        near=("net", "networking", "netdev"),
    ),
    Kind(
        "ethernet", "Ethernet (0200)", (Those("0200"),),
        near=("nic", "eth", "lan", "interface", "network-card", "roce", "ethernet-controller"),
    ),
    Kind(
        "infiniband", "InfiniBand and Omni-Path (0207, 0208, and Mellanox' 0280 and 0c06)", _INFINIBAND,
        near=("ib", "rdma", "hca", "omni-path", "opa"),
    ),
    Kind(
        "wifi", "wireless network cards (0280, 0d20, 0d21)", _WIFI, (Those("0280", "15b3:"),),
        ("wi-fi", "wlan", "wireless", "802.11"),
    ),
    Kind(
        "storage", "whatever has disks: NVMe, SATA, SAS, RAID, IDE, SCSI (01)", (Those("01"),),
        near=("disk", "disks", "drive", "hba", "raid", "sata", "ahci", "sas", "scsi", "ide", "block"),
    ),
    Kind(
        "nvme", "NVMe drives (010802)", (Those("010802"),),
        near=("ssd", "nvm", "m.2", "u.2", "non-volatile-memory-controller"),
    ),
    Kind(
        "usb", "USB controllers (0c0300 to 0c0330)", tuple(map(Those, ("0c0300", "0c0310", "0c0320", "0c0330"))),
        near=("xhci", "ehci", "uhci", "ohci", "usb3", "usb-controller"),
    ),
    Kind(
        "audio", "sound (0401, 0403)", (Those("0401"), Those("0403")),
        near=("sound", "hda", "speaker", "hdmi-audio", "multimedia", "audio-device"),
    ),
    Kind(
        "fpga", "FPGAs by their vendors: AMD (Xilinx), Intel (Altera), Lattice, Amazon", _FPGA, (Those("06"),),
        ("xilinx", "altera", "alveo"),
    ),
    Kind(
        "tpm", "none: a TPM is on LPC, SPI or in the firmware, and no PCI function", (),
        near=("tpm2", "ftpm"),
        # drivers/char/tpm has no PCI driver.
        none="a TPM is on LPC or SPI, or a part of the firmware, and not a PCI function that could be passed",
    ),
)  # fmt: skip

WORDS = tuple(one.word for one in KINDS)
_BY_WORD = {one.word: one for one in KINDS}


def is_of(kind: str, class_code: str, id_: str) -> bool:
    """`kind` is a word, or the first hex digits of a class."""
    known = _BY_WORD.get(kind)
    return known.has(class_code, id_) if known else class_code.startswith(kind)


def kind_of(word: str) -> Kind | None:
    return _BY_WORD.get(word)


def meant_by(word: str) -> str | None:
    """The word of ours for one that people use."""
    found = re.sub(r"[ _]+", "-", word.strip().lower())
    return found if found in _BY_WORD else next((one.word for one in KINDS if found in one.near), None)


def all_kinds() -> str:
    """As a sentence for the documentation."""
    return "; ".join(f"`{one.word}`: {one.means}" for one in KINDS)
