"""The rows about firmware that boots a guest: what the host has, files of the spec, and what is there to boot from."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from launcher.host.facts import FirmwareImage, HostFacts, OtherVm
from launcher.images.boot_files import BootFile, BootFiles, Flash, SeedText, Variables
from launcher.record import replace
from launcher.values import MIB, Missing
from tests.catalogue.row import Row
from tests.planning import FILES, KERNEL
from tests.served import START, image, served, with_disks

CODE_4M, VARS_4M = 3653632, 540672
HEAD = (  # of OVMF_VARS_4M.fd
    "000000000000000000000000000000008d2bf1ff96768b4ca9852747075b4f5000400800000000005f465648fffe04004800"
    "afb80000000284000000001000000000000000000000782cf3aa7b949a43a1802e144ec37792b8ff03005afe000000000000"
)
LAYOUT = "262072 bytes of 540672, authenticated"
OVMF = FirmwareImage(
    "/usr/share/OVMF/OVMF_CODE_4M.fd", "uefi", CODE_4M, "44" * 32,
    "/usr/share/OVMF/OVMF_VARS_4M.fd", VARS_4M, "55" * 32, HEAD,
)  # fmt: skip
SECURE = FirmwareImage("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "uefi", smm=True)
SEABIOS = FirmwareImage("/usr/share/seabios/bios-256k.bin", "bios", 262144, "66" * 32)

_REST = "cpus: 2\nmemory: 1GiB\n"
ROOT = "disks: {root: ./root.img}\n"
UEFI, BIOS = f"boot: uefi\n{_REST}{ROOT}", f"boot: bios\n{_REST}{ROOT}"
FILE = f"boot: ./OVMF.fd\n{_REST}{ROOT}"
KEPT = f"boot: {{firmware: uefi, variables: ./vm.fd}}\n{_REST}{ROOT}"
OWN = FILE.replace("./OVMF.fd", "{firmware: ./OVMF.fd, variables: ./vm.fd}")
BARE, NETWORK = f"boot: uefi\n{_REST}", f"boot: uefi\n{_REST}nics: {{lan: {{bridge: br0}}}}\n"
GPU = f"{UEFI}devices: {{gpu: {{pci: '0000:c1:00.0', companions: attach, boot-order: 1}}}}\n"
DRIVE = GPU.replace("0000:c1:00.0', companions: attach", "0000:02:00.0'")

BOOTABLE = image("root.img", boots=("bios", "uefi"))


def installed(*images: FirmwareImage, **fields: Any) -> Callable[[], HostFacts]:
    return lambda: replace(served(**fields), boot_firmware=images)


def files(firmware: BootFile | Missing | None = None, variables: Variables | Missing | None = None) -> BootFiles:
    return replace(with_disks(root=BOOTABLE), kernel=None, initrd=None, firmware=firmware, variables=variables)


def rom(kind: Any = "uefi", size: int = CODE_4M, **fields: Any) -> BootFile:
    content = "bios" if kind == "bios" else "firmware-volume"
    digest = sha256(repr((kind, size, fields)).encode()).hexdigest()
    return BootFile("/vms/OVMF.fd", "unknown", size, digest, content=content, flash=Flash(kind, **fields))


def kept(**fields: Any) -> Variables:
    given = {"path": "/vms/vm.fd", "kind": "file", "identity": "1:7", "size": VARS_4M, "layout": LAYOUT}
    return Variables(**given | fields)


def disk(*boots: Any) -> BootFiles:
    return replace(with_disks(root=image("root.img", boots=boots)), kernel=None, initrd=None)


NONE = BootFiles(None)
HOST = installed(OVMF, SEABIOS)
NEW = Variables("/vms/vm.fd", "none")
PVH = replace(KERNEL, path="/vms/OVMF.fd")
NO_ROM = BootFile("/vms/OVMF.fd", "unknown", MIB, "78" * 32, content="qcow2")
BZIMAGE = BootFile("/vms/OVMF.fd", "bzimage", MIB, "77" * 32, 0x1000000)
ABSENT = Missing("absent", "/vms")


def _host(
    code: str, variant: str, spec: str, host: Callable[[], HostFacts], near: Callable[[], HostFacts] = HOST
) -> Row:
    return Row("firmware-missing", code, host, near, spec, variant=variant, named=files())


def _file(id_: str, code: str, variant: str, spec: str, one: BootFiles, near: BootFiles, near_spec: str = "") -> Row:
    return Row(id_, code, HOST, HOST, spec, near_spec, variant=variant, named=one, near_named=near)


HOLE = "[{size: 512MiB}, {size: 512MiB, at: 0x40000000}]"


def _memory(code: str, variant: str, memory: str, near: str) -> Row:
    spec, near_spec = (UEFI.replace("1GiB", one) for one in (memory, near))
    return Row("firmware-memory", code, HOST, HOST, spec, near_spec, variant=variant, named=files())


USER_DATA = SeedText("/vms/user-data", "file", 20, "99" * 32)
PASSED_OVER = "does not begin with `#cloud-config`, nor with what else cloud-init knows"
SEEDED = f"{START}cloud-init: {{user-data: ./user-data}}\n"


def _seed(code: str, variant: str, one: SeedText | Missing) -> Row:
    found, near = (replace(FILES, seed={"user-data": file}) for file in (one, USER_DATA))
    return Row("cloud-init-unheard", code, HOST, HOST, SEEDED, variant=variant, named=found, near_named=near)


ROWS: tuple[Row, ...] = (
    _host("E450", "uefi", UEFI, installed(SEABIOS)),
    _host("E450", "bios", BIOS, installed(OVMF)),
    _host("E451", "secure-boot", UEFI, installed(SECURE), installed(SECURE, OVMF)),
    _host("W216", "not-recorded", UEFI, served),
    _file("firmware-file-wrong", "E451", "secure-boot", FILE, files(rom(smm=True)), files(rom())),
    _file("firmware-file-wrong", "E452", "image", FILE, files(NO_ROM), files(rom())),
    _file("firmware-file-wrong", "E452", "kernel", FILE, files(BZIMAGE), files(PVH)),
    _file("firmware-file-wrong", "E452", "variables", FILE, files(rom("variables")), files(rom("bios"))),
    _file("firmware-file-wrong", "E453", "16-mib", FILE, files(rom(size=16 * MIB)), files(rom(size=4 * MIB))),
    _file("firmware-file-wrong", "E410", "absent", FILE, files(Missing("absent", "/vms/OVMF.fd")), files(rom())),
    _file("variables-wrong", "E454", "no-folder", KEPT, files(None, ABSENT), files(None, NEW)),
    _file("variables-wrong", "E454", "denied", KEPT, files(None, kept(writable=False)), files(None, kept())),
    _file("variables-wrong", "E454", "folder", KEPT, files(None, replace(NEW, writable=False)), files(None, NEW)),
    _file("variables-wrong", "E454", "fifo", KEPT, files(None, kept(kind="other", size=0)), files(None, kept())),
    _file("variables-wrong", "E454", "template", KEPT,
          files(None, kept(path=OVMF.template, identity="1:8")), files(None, kept())),
    _file("variables-wrong", "E455", "2-mib", KEPT,
          files(None, kept(size=131072, layout="57272 bytes of 131072, authenticated")), files(None, kept())),
    _file("variables-wrong", "E455", "in-the-firmware", OWN, files(rom(size=4 * MIB, layout=LAYOUT), kept()),
          files(rom(), kept())),
    _file("variables-wrong", "E455", "of-a-kernel", OWN, files(PVH, kept()), files(rom(), kept())),
    _file("variables-wrong", "E456", "none", KEPT, files(None, kept(layout="")), files(None, kept())),
    _file("variables-wrong", "E456", "plain", KEPT, files(None, kept(layout="262072 bytes of 540672, plain")),
          files(None, kept())),
    _file("variables-wrong", "E454", "link", KEPT,
          files(None, kept(target=OVMF.template, identity="1:8")), files(None, kept())),
    _file("variables-wrong", "E457", "no-template", OWN, files(rom(), NEW), files(None, NEW), KEPT),
    _file("variables-wrong", "E458", "locked", KEPT, files(None, kept(locked=True)), files(None, kept())),
    Row("variables-wrong", "E458", installed(OVMF, vms=(OtherVm("other", variables="/vms/vm.fd"),)),
        installed(OVMF, vms=(OtherVm("vm", variables="/vms/vm.fd"),)), KEPT, variant="by-a-vm",
        named=files(None, kept(locked=True))),
    _file("nothing-to-boot", "E459", "bare", BARE, NONE, NONE, NETWORK),
    _file("nothing-to-boot", "E459", "bios-by-network", NETWORK.replace("uefi", "bios"), NONE, files(), BIOS),
    _file("nothing-to-boot", "W459", "network", NETWORK, NONE, files(), UEFI),
    _file("nothing-to-boot", "W460", "no-system-partition", UEFI, disk("bios"), disk("uefi")),
    _file("nothing-to-boot", "W460", "no-boot-code", BIOS, disk("uefi"), disk("bios")),
    _file("nothing-to-boot", "W460", "bare-file-system", UEFI, disk(), disk("uefi")),
    _memory("E464", "40-mib", "40MiB", "44MiB"),
    _memory("E465", "bank-apart", HOLE, "[{size: 512MiB}, {size: 512MiB, at: 0x100000000}]"),
    _memory("E465", "banks-together", HOLE, "[{size: 512MiB}, {size: 512MiB, at: 0x20000000}]"),
    _seed("E410", "absent", Missing("absent", "/vms/user-data")),
    _seed("E462", "large", replace(USER_DATA, size=2 * MIB, sha256="9a" * 32)),
    _seed("W463", "no-header", replace(USER_DATA, problem=PASSED_OVER)),
    _file("boot-order-unheard", "W461", "gpu", GPU, files(), files(), DRIVE),
    _file("boot-order-unheard", "W461", "as-a-kernel", FILE.replace("./root.img", "{path: ./root.img, boot-order: 1}"),
          files(PVH), files(rom())),
)  # fmt: skip

WITHOUT_RULE: dict[str, str] = {}
