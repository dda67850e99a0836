"""Devices that do not do as their standards have it: data, one line each, for the rules and for `explain`. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.typed import Literal


@record
class Quirk:
    """Which devices, what happens with them, what helps, and who says so.

    `ids`: `1002:7310-731f`, both ends included, or a vendor alone. `classes`: how the class code begins, empty: any.
    `firmware`: who made the host, as its DMI has it; `portable`: only laptops, or only others. `resets`: only if it
    is reset by one of these. `own_since`: the release of Linux that has a reset of its own for it. `module`:
    vendor-reset has it in its list, or later versions of it have, or only whoever adds it; some it helps only.
    """

    code: str
    what: str
    seen: str
    help: str
    source: str
    ids: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    portable: bool | None = None
    resets: tuple[str, ...] = ()
    own_since: tuple[int, int] | None = None
    module: Literal["", "listed", "listed later", "helps some", "to be added"] = ""


APU = (
    "1002:1114", "1002:1304-131d", "1002:13c0", "1002:13fe", "1002:143f", "1002:1435", "1002:1506", "1002:150e",
    "1002:1586", "1002:15bf", "1002:15c8", "1002:15d8", "1002:15dd", "1002:15e7", "1002:1636", "1002:1638",
    "1002:163f", "1002:164c-164e", "1002:1681", "1002:1900-1902", "1002:9830-983f", "1002:9850-985f",
    "1002:9870-9877", "1002:98e4",
)  # fmt: skip

_DISPLAY = "03"
_BY_BUS = ("pm", "bus", "hot")
_ONCE = "it runs in one VM, and does not start in the next one before the host is restarted"
_VENDOR_RESET = "the kernel module vendor-reset, and `device_specific` in reset_method"
APUS_WAY = "its video BIOS in a file, with `rom:`, and a guest that disables the device before it ends"
_OF_MODULE = "github.com/gnif/vendor-reset, src/device-db.h"
_QUIRKS = "Linux, drivers/pci/quirks.c, pci_dev_reset_methods"
_BY_FLR = ("flr",)
_FROM_FILE = "its video BIOS in a file, with `rom:`"

# vendor-reset's own list, src/device-db.h. Its README: other ids may do as well, once they are written there.
_POLARIS = (
    "1002:67c0-67c2", "1002:67c4", "1002:67c7-67ca", "1002:67cc", "1002:67cf-67d0", "1002:67df", "1002:67e0-67e1",
    "1002:67e3", "1002:67e7-67e9", "1002:67eb", "1002:67ef", "1002:67ff", "1002:6980-6981", "1002:6985-6987",
    "1002:6995", "1002:6997", "1002:699f", "1002:6fdf",
)  # fmt: skip
_VEGA_10 = ("1002:6860-6864", "1002:6867-686f", "1002:687f")
_VEGA_20 = ("1002:66a0-66a4", "1002:66a7", "1002:66af")
_NAVI = (
    "1002:7310", "1002:7312", "1002:7318-731b", "1002:731e-731f", "1002:7340-7341", "1002:7347", "1002:734f",
    "1002:7360", "1002:7362",
)  # fmt: skip
# In later versions of the list only.
_ARCTURUS = ("1002:738c",)
_NAVI_23 = ("1002:73ff",)
_TRIED_APUS = ("1002:15bf", "1002:15dd", "1002:15e7", "1002:1636", "1002:1638", "1002:164c")

_RESETS = (
    Quirk(
        "W265", "AMD Polaris 10, 11 and 12", _ONCE, _VENDOR_RESET, _OF_MODULE,
        _POLARIS, (_DISPLAY,), resets=_BY_BUS, module="listed",
    ),
    Quirk(
        "W265", "AMD Vega 10", _ONCE, _VENDOR_RESET, _OF_MODULE, _VEGA_10, (_DISPLAY,), resets=_BY_BUS, module="listed",
    ),
    Quirk(
        "W265", "AMD Vega 20", _ONCE, _VENDOR_RESET, _OF_MODULE, _VEGA_20, (_DISPLAY,), resets=_BY_BUS, module="listed",
    ),
    Quirk(
        "W265", "AMD Navi 10, 12 and 14", _ONCE, _VENDOR_RESET, _OF_MODULE,
        _NAVI, (_DISPLAY,), resets=_BY_BUS, module="listed",
    ),
    Quirk(
        "W265", "AMD Arcturus, the Instinct MI100", _ONCE, f"{_VENDOR_RESET}, with the card in its list",
        f"{_OF_MODULE}, since April 2024; gnif/vendor-reset#80", _ARCTURUS, (_DISPLAY, "12"), resets=_BY_BUS,
        module="listed later",
    ),
    Quirk(
        "W265", "AMD Navi 23, the Radeon RX 6600", _ONCE, f"{_VENDOR_RESET}, with the card in its list",
        f"{_OF_MODULE}; gnif/vendor-reset#41 and #101", _NAVI_23, (_DISPLAY,), resets=_BY_BUS, module="listed later",
    ),
    Quirk(
        "W265", "other cards with AMD's Polaris, Vega 10 or 20, Arcturus, or Navi 10, 12, 14 or 23", _ONCE,
        "vendor-reset with its id added to the module's list", f"{_OF_MODULE} and README.md",
        (
            "1002:67c0-67ff", "1002:6980-699f", "1002:6860-687f", "1002:66a0-66af",
            "1002:7388", "1002:738e", "1002:7390", "1002:7310-731f", "1002:7340-734f", "1002:7360-7362",
            "1002:73e0-73e3", "1002:73e8-73ef",
        ),
        (_DISPLAY, "12"), resets=_BY_BUS, module="to be added",
    ),
    Quirk(
        "W265", "AMD Bonaire and Hawaii", _ONCE, "a restart of the host between two VMs: Linux has no reset for it",
        "QEMU, hw/vfio/pci-quirks.c, vfio_radeon_reset",
        (
            "1002:6649", "1002:6650-6651", "1002:6658", "1002:665c-665d", "1002:67a0-67a2", "1002:67a8-67aa",
            "1002:67b0-67b1", "1002:67b8-67ba", "1002:67be",
        ),
        (_DISPLAY,), resets=_BY_BUS,
    ),
    Quirk(
        "W265", "AMD APUs that vendor-reset has in its later list", _ONCE, f"{APUS_WAY}. vendor-reset helps some",
        f"{_OF_MODULE}; gnif/vendor-reset#82", _TRIED_APUS, (_DISPLAY,), resets=_BY_BUS, module="helps some",
    ),
    Quirk(
        "W265", "AMD APUs, the graphics in the processor", _ONCE, APUS_WAY,
        "github.com/isc30/ryzen-gpu-passthrough-proxmox; gnif/vendor-reset#82",
        APU, (_DISPLAY,), resets=_BY_BUS,
    ),
    Quirk(
        "W265", "AMD Instinct MI300 and MI350, the whole device",
        "its configuration space reads all ones from then on, until the host is restarted",
        "a virtual function of it (AMD's driver GIM), which comes back",
        "github.com/amd/MxGPU-Virtualization#25", ("1002:74a0-74af", "1002:75a0-75af"), resets=("flr", "bus", "hot"),
    ),
    Quirk(
        "W265", "Samsung SM961 and PM961", "an NVMe controller that was on does not become ready after it",
        "Linux 4.20 switches the controller off first", _QUIRKS, ("144d:a804",), resets=_BY_FLR, own_since=(4, 20),
    ),
    Quirk(
        "W265", "Intel DC P3500, P3600 and P3700", "the controller does not become ready if it is asked too soon",
        "Linux 4.20 waits 250 ms", _QUIRKS, ("8086:0953",), resets=_BY_FLR, own_since=(4, 20),
    ),
    Quirk(
        "W265", "Intel DC P4500, P4510 and P4600", "the controller does not become ready if it is asked too soon",
        "Linux 5.14 waits 250 ms", _QUIRKS, ("8086:0a54",), resets=_BY_FLR, own_since=(5, 14),
    ),
    Quirk(
        "W265", "Solidigm P44 Pro", "the controller does not become ready if it is asked too soon",
        "Linux 6.5 waits 250 ms", _QUIRKS, ("025e:f1ac",), resets=_BY_FLR, own_since=(6, 5),
    ),
    Quirk(
        "W265", "Samsung SM951, PM951 and 950 PRO", "the next driver cannot start the controller",
        "a reset of its bus, on which an NVMe drive is alone", "linux-pci, April 2021, SM951/PM951",
        ("144d:a802",), resets=_BY_FLR,
    ),
    Quirk(
        "W265", "drives with a Silicon Motion SM2262 or SM2263, as Intel's 760p",
        "its MSI-X table reads as longer than it is after it, so that table and pending bits overlap",
        "a reset of its bus, on which an NVMe drive is alone", "bugzilla.kernel.org/show_bug.cgi?id=202055",
        ("126f:2262-2263", "8086:f1a6"), resets=_BY_FLR,
    ),
)  # fmt: skip

_ROMS = (
    Quirk(
        "W266", "AMD APUs, the graphics in the processor",
        "has no ROM: its video BIOS is a part of the host's firmware, which the guest does not have", _FROM_FILE,
        "Linux, amdgpu_bios.c (VFCT); github.com/isc30/ryzen-gpu-passthrough-proxmox", APU, (_DISPLAY,),
    ),
    Quirk(
        "W266", "NVIDIA and AMD graphics of laptops",
        "has no ROM: its video BIOS is a part of the laptop's firmware, which the guest does not have", _FROM_FILE,
        "Linux, nouveau_acpi.c and amdgpu_bios.c (ACPI's _ROM and ATRM)",
        ("10de", "1002"), (_DISPLAY,), portable=True,
    ),
)  # fmt: skip

_OTHERS = (
    Quirk(
        "E215", "HP and HPE ProLiant, all slots",
        "the firmware reserves memory for its management processor in the name of every card",
        "`conrep` of the Scripting Toolkit takes a slot out of it", "HPE, conrep_rmrds.xml of the Scripting Toolkit",
        firmware=("HP", "HPE", "Hewlett-Packard", "Hewlett Packard Enterprise"), portable=False,
    ),
    Quirk(
        "W264", "ports of Thunderbolt and USB4",
        "PCI Express comes through a tunnel: a link in it reads x4 at 2.5 GT/s however fast it is",
        "nothing has to be done", "USB4 Specification 2.0, chapter 11",
        (
            # Cards and docks: drivers/thunderbolt/nhi.h, and pci.ids for Maple, Goshen and Barlow Ridge.
            "8086:1513", "8086:151a-151b", "8086:1547-1549", "8086:1567", "8086:1569", "8086:156b", "8086:156d",
            "8086:157e", "8086:1576", "8086:1578", "8086:15c0", "8086:15d3", "8086:15da", "8086:15e7", "8086:15ea",
            "8086:15ef", "8086:1133", "8086:1136", "8086:0b26", "8086:5780", "8086:5783", "8086:5786", "8086:57a4",
            # Ports of processors: drivers/pci/quirks.c, dpc_log_size, and pci.ids for the later ones and for AMD's.
            "8086:8a1d", "8086:8a1f", "8086:8a21", "8086:8a23", "8086:9a23", "8086:9a25", "8086:9a27", "8086:9a29",
            "8086:9a2b", "8086:9a2d", "8086:9a2f", "8086:9a31", "8086:461f", "8086:462f", "8086:463f", "8086:466e",
            "8086:a72f", "8086:a73f", "8086:a76e", "8086:7ec4-7ec7", "1022:14cd", "1022:14ef",
        ),
        ("0604",),
    ),
)  # fmt: skip

QUIRKS: tuple[Quirk, ...] = (*_RESETS, *_ROMS, *_OTHERS)


def quirks_of(code: str) -> tuple[Quirk, ...]:
    return tuple(one for one in QUIRKS if one.code == code)


def told(code: str) -> tuple[str, ...]:
    """A line for each, as `explain` and the page of codes have them."""
    return tuple(f"{_subject(one)}: {one.seen}. What helps: {one.help}. ({one.source})" for one in quirks_of(code))


def _subject(one: Quirk) -> str:
    named = f"{one.what} ({', '.join(one.ids)})" if one.ids else one.what
    return f"{named}, after {' or '.join(one.resets)}" if one.resets else named
