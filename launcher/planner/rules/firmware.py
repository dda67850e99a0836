"""Rules about firmware that boots a guest: it is there, its build runs here, its variables fit, and something to boot
from is there. Not imported for a VM that starts from a kernel. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.boot_files import BootFile, Variables
from launcher.images.disk_files import Disk
from launcher.images.firmware import LARGEST
from launcher.planner.firmware import KINDS, fits, installed
from launcher.planner.functions import is_kind
from launcher.planner.places import in_spec
from launcher.planner.rules.contents import CONTENTS
from launcher.planner.rules.rule import Rule
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import OtherVm, PciFunction
    from launcher.planner.decided import Situation

_WHERE, _VARIABLES = in_spec("boot.firmware"), in_spec("boot.variables")


class _Package(NamedTuple):
    name: str
    package: str


_PACKAGES = {
    "uefi": _Package("OVMF", "`apt install ovmf` on Debian and Ubuntu"),
    "bios": _Package("SeaBIOS", "`apt install seabios` on Debian and Ubuntu"),
}
_OR_A_FILE = "or name a firmware of your own, as in `boot: ./OVMF_CODE.fd`"
_WITHOUT_SMM = (
    "vmlaunch has no System Management Mode, in which builds for Secure Boot keep their variables: take the one "
    "without it, on Debian OVMF_CODE_4M.fd"
)
_IS_A_KERNEL = ("bzimage", "elf")


def _installed(it: Situation) -> Iterator[Diagnostic]:
    kind = str(it.spec.boot.firmware)
    if kind not in KINDS or installed(kind, it.host) is not None:
        return
    name, package = _PACKAGES[kind]
    help_: tuple[str, ...]
    if it.host.boot_firmware is None:
        help_ = ("record the host again: `vmlaunch devices --json > host.json`",)
        yield Diagnostic("W216", f"whether {name} is installed on the host is not recorded", _WHERE, help=help_)
    elif built := [one.path for one in it.host.boot_firmware if one.kind == kind]:
        fact = f"the host has {name} only as a build for Secure Boot, {built[0]}"
        yield Diagnostic("E451", fact, _WHERE, help=(_WITHOUT_SMM,))
    else:
        help_ = (package, _OR_A_FILE if kind == "uefi" else "or `boot: uefi`, if the image has a loader for it")
        yield Diagnostic("E450", f"the host has no {name}", _WHERE, help=help_)


def _own(it: Situation) -> Iterator[Diagnostic]:
    """A file of the spec. One that cannot be read is told with the others."""
    help_: tuple[str, ...]
    file = it.files.firmware
    if not isinstance(file, BootFile) or file.kind in ("pvh", "empty", "directory"):
        return
    if file.flash is None:
        yield _no_firmware(file)
    elif file.flash.kind == "variables":
        help_ = ("name the firmware itself, and a copy of this as `boot.variables`, or a file that is not there",)
        yield Diagnostic("E452", f"{file.path} holds variables of a UEFI firmware, and no firmware", _WHERE, help=help_)
    elif file.flash.layout and it.spec.boot.variables is not None:
        fact = f"{file.path} has room for its variables in itself, where they are lost when the VM ends"
        help_ = ("name the firmware alone, as OVMF_CODE_4M.fd, beside `variables`", "or take `variables` out")
        yield Diagnostic("E455", fact, _VARIABLES, help=help_)
    elif file.flash.smm:
        yield Diagnostic("E451", f"{file.path} is a build for Secure Boot", _WHERE, help=(_WITHOUT_SMM,))
    elif it.firmware is not None and not fits(it.firmware):
        size = it.firmware.size + it.firmware.variables
        fact = f"{file.path} has {show_size(size)} with its variables, and there is room for {show_size(LARGEST)}"
        yield Diagnostic("E453", fact, _WHERE, help=("take a build of at most that size",))


def _no_firmware(file: BootFile) -> Diagnostic:
    help_: tuple[str, ...]
    if file.kind in _IS_A_KERNEL:
        help_ = (f"if it is a kernel, write `boot: {{kernel: {file.path}}}`",)
        return Diagnostic("E452", f"{file.path} is a kernel, or an ELF program, and no firmware", _WHERE, help=help_)
    found = CONTENTS.get(file.content or "")
    what = f"is {found.words}" if found else "is no firmware that vmlaunch knows"
    help_ = (
        "name an OVMF_CODE*.fd or a bios*.bin for x86-64",
        "or write `boot: uefi` or `boot: bios`: the host's own",
    )
    return Diagnostic("E452", f"{file.path} {what}" + (", and no firmware" if found else ""), _WHERE, help=help_)


def _variables(it: Situation) -> Iterator[Diagnostic]:
    found = it.files.variables
    if isinstance(found, Missing):
        yield _not_kept(found, it)
    elif found is not None and it.files.firmware is not None and _starts_as_a_kernel(it.files.firmware):
        fact = "a firmware that starts as a kernel keeps no variables here"
        yield Diagnostic("E455", fact, _VARIABLES, help=("take `variables` out",))
    elif found is not None:
        yield from _unfit(found, it)


def _starts_as_a_kernel(file: BootFile | Missing) -> bool:
    return isinstance(file, BootFile) and (file.kind == "pvh" or (file.flash is not None and file.flash.kind == "bios"))


def _not_kept(found: Missing, it: Situation) -> Diagnostic:
    if found.missing == "absent":
        help_ = ("make the folder, or correct the path: it is relative to the spec",)
        return Diagnostic("E454", f"the folder {found.path} for the variables is not there", _VARIABLES, help=help_)
    help_ = (f"let uid {it.host.process.uid} read and write it",)
    return Diagnostic("E454", f"{found.path} cannot be read", _VARIABLES, help=help_)


_OF_ITS_OWN = "name a file that is not there, as `variables: ./vm.vars.fd`: it is made of the template"
_NEW = (
    "name a file that is not there, and it is made of the firmware's template; boot entries are lost with the old one"
)


def _is_template(found: Variables, it: Situation) -> bool:
    templates = {image.template for image in it.host.boot_firmware or () if image.template}
    return not templates.isdisjoint((found.path, found.target))


def _unfit(found: Variables, it: Situation) -> Iterator[Diagnostic]:
    one = it.firmware
    if found.kind == "other":
        yield Diagnostic("E454", f"{found.path} is no regular file", _VARIABLES, help=("name a file",))
    elif _is_template(found, it):
        verb = "leads to" if found.target not in ("", found.path) else "is"
        fact = f"{found.path} {verb} the template of the host's firmware, which new files of variables are made of"
        yield Diagnostic("E454", fact, _VARIABLES, help=(_OF_ITS_OWN,))
    elif not found.writable:
        what = "may not be written" if found.kind == "file" else "cannot be made: its folder may not be written"
        help_ = (f"let uid {it.host.process.uid} write it",)
        yield Diagnostic("E454", f"{found.path} {what}", _VARIABLES, help=help_)
    elif found.kind == "none":
        if one is not None and not one.template:
            fact = f"{found.path} is not there, and {one.path} comes without a template to make it of"
            help_ = ("copy the OVMF_VARS*.fd that belongs to it there",)
            yield Diagnostic("E457", fact, _VARIABLES, help=help_)
    elif one is not None and one.variables != found.size:
        fact = f"{found.path} has {found.size} bytes, and variables of {one.path} have {one.variables}"
        yield Diagnostic("E455", fact, _VARIABLES, help=(_NEW,))
    elif not found.layout or (one is not None and one.layout and found.layout != one.layout):
        holds = f"the variables of another firmware ({found.layout})" if found.layout else "no variables of UEFI"
        yield Diagnostic("E456", f"{found.path} holds {holds}", _VARIABLES, help=(_NEW,))
    elif found.locked and not _is_own(found, it):
        yield _in_use(found, it)


def _is_own(found: Variables, it: Situation) -> bool:
    """This VM is up, and is planned again."""
    return any(vm.name == it.spec.name and vm.variables == found.path for vm in _vms(it))


def _vms(it: Situation) -> tuple[OtherVm, ...]:
    return it.host.serving.vms if it.host.serving else ()


def _in_use(found: Variables, it: Situation) -> Diagnostic:
    other = next((vm.name for vm in _vms(it) if vm.variables == found.path), None)
    by, way = (f"the VM {other}", f"`vmlaunch down {other}`") if other else ("another process", "stop that")
    help_ = (f"each VM has a file of its own; or first {way}",)
    return Diagnostic("E458", f"{found.path} is in use by {by}", _VARIABLES, help=help_)


def _nothing_to_boot(it: Situation) -> Iterator[Diagnostic]:
    """OVMF also boots from a network; SeaBIOS has no driver for one."""
    spec = it.spec
    if spec.disks or any(_has_a_drive(one) for one in it.passing.functions):
        return
    if any(choice.function is None for choice in it.passing.choices):
        return  # what it would be is not known
    if spec.boot.firmware != "bios" and (spec.nics or any(is_kind(one, "ethernet") for one in it.passing.functions)):
        fact = "the guest has no disk, and boots only if something on its network answers (PXE, HTTP)"
        yield Diagnostic("W459", fact, _WHERE, help=("add `disks: {root: ./debian.qcow2}`, or pass a drive",))
        return
    help_ = ("add `disks: {root: ./debian.qcow2}`, or pass a drive by `devices:`", "or name a `kernel`")
    yield Diagnostic(
        "E459", "the guest has neither a disk nor a drive that firmware could boot from", _WHERE, help=help_
    )


def _has_a_drive(one: PciFunction) -> bool:
    """Of mass storage, or a USB controller, which may have a stick."""
    return one.class_code.startswith(("01", "0c03"))


def _without_loader(it: Situation) -> Iterator[Diagnostic]:
    """Said where no disk has one that was read to its first sectors, and nothing else could have one."""
    kind = it.firmware.kind if it.firmware else "uefi" if it.spec.boot.firmware == "uefi" else None
    disks = [(alias, it.files.disks.get(alias)) for alias in it.spec.disks]
    seen = [(alias, _boots(one)) for alias, one in disks if isinstance(one, Disk)]
    if kind is None or not seen or len(seen) < len(disks) or any(map(_has_a_drive, it.passing.functions)):
        return
    if any(boots is None or kind in boots for _, boots in seen):
        return
    alias, _ = seen[0]
    needs = "an EFI system partition" if kind == "uefi" else "boot code in its first sector"
    subject = f"{alias} has no boot loader" if len(seen) == 1 else "no disk has a boot loader"
    other = next((name for _, found in seen for name in found or ()), None)
    ways = (f"write `boot: {other}`: there is one for that",) if other else ()
    finder = "UEFI" if kind == "uefi" else "a BIOS"
    fact = f"{subject} that {finder} would find: {needs} is not there"
    yield Diagnostic("W460", fact, in_spec(f"disks.{alias}"), help=(*ways, *_OTHER_WAYS))


_OTHER_WAYS = (
    "name an image that boots, as a distribution's cloud image, or its installer beside an empty disk",
    "an image without a loader starts with `boot: {kernel: ...}`",
)


def _boots(disk: Disk) -> tuple[str, ...] | None:
    """What the first image that has the first sectors says; None: not known."""
    found = next((one.boots for one in disk.chain if one.boots is not None), None)
    return None if disk.broken is not None else found


def _unheard(it: Situation) -> Iterator[Diagnostic]:
    """A number for what firmware cannot start, or would not be told."""
    spec = it.spec
    if it.firmware is None and isinstance(it.files.firmware, BootFile) and it.files.firmware.kind == "pvh":
        entries = [("disks", alias) for alias, one in spec.disks.items() if one.boot_order is not None]
        entries += [("devices", alias) for alias, one in spec.devices.items() if one.boot_order is not None]
        for kind, alias in entries[:1]:
            fact = f"{alias}: a firmware that starts as a kernel is told no order"
            yield Diagnostic("W461", fact, in_spec(f"{kind}.{alias}.boot-order"), help=("take `boot-order` out",))
        return
    for choice, function in it.chosen():
        if choice.device.boot_order is not None and not _can_start(function):
            fact = f"{choice.alias}: firmware boots from no device of this kind (class {function.class_code[:4]})"
            where = in_spec(f"devices.{choice.alias}.boot-order")
            yield Diagnostic("W461", fact, where, help=("take `boot-order` out",))


def _can_start(one: PciFunction) -> bool:
    return _has_a_drive(one) or one.class_code.startswith("02")


RULES: tuple[Rule, ...] = (
    Rule("kernel", _installed),
    Rule("kernel", _own),
    Rule("kernel", _variables),
    Rule("kernel", _nothing_to_boot),
    Rule("policy", _without_loader),
    Rule("policy", _unheard),
)
