"""HostFacts of this host, or of a recorded one."""

from __future__ import annotations

import gc
import os
import time
from contextlib import contextmanager
from functools import cache

from launcher.codec import DecodeError, decode
from launcher.errors import Diagnostic, Refused, Where
from launcher.host.device_nodes import is_node, is_own_name, with_handed
from launcher.host.facts import ENGINES, FORMAT_VERSION, Confinement, HostFacts, KvmFacts, VirtualFunction
from launcher.host.survey import Depth, read_boot_id, survey
from launcher.host.tree import Live
from launcher.kernel.handed import handed
from launcher.patterns import re
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import Missing, Moment

KINDS = ("bios", "uefi")  # of firmware
LARGE = 1 << 20  # bytes of facts; of fewer, few are alike

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from launcher.host.facts import FirmwareImage, Interface, PciFunction, Process, Serving
    from launcher.planner.decided import Terms
    from launcher.spec.parts import VmSpec


def this_host(
    *,
    deep: bool = False,
    raw: bool = False,
    identity: int | None = None,
    devices: bool = True,
    engines: Collection[str] | None = ENGINES,
    firmware: Collection[str] | None = KINDS,
) -> HostFacts:
    """Reads only; nothing on the host changes, and no device wakes unless it is read `deep`.

    `raw` keeps configuration space as it is; `identity` is the uid that will run `up`, if it is another.
    Without `devices` it is what a VM without any needs. Of `engines` those that are installed are asked for their
    version; None: the VM has neither disks nor networks, shares or vsock. `firmware`: the kinds that are looked for;
    None: the VM has a kernel, or a firmware of its own.
    """
    folder = os.environ.get("XDG_RUNTIME_DIR")
    depth: Depth = "deep" if deep else "devices" if devices else "machine"
    with _uncollected():
        facts = survey(Live(), _kvm(), folder, raw=raw, identity=identity, depth=depth)
    nodes = with_handed(facts.device_nodes or (), handed())
    return replace(
        facts,
        device_nodes=nodes,
        confinement=_confinement(),
        pci=tuple(map(_with_functions, facts.pci)),
        serving=None if engines is None else _serving(facts.process, engines, asks=bool(engines) and identity is None),
        boot_firmware=None if firmware is None else _firmware(firmware),
        recorded_at=now(),
    )


def now() -> Moment:
    return Moment(int(time.time()))


def asked_now(terms: Terms, host: HostFacts) -> Terms:
    """So that facts which are old, or of another life of this machine, are told."""
    if host.recorded_at is None and host.boot_id is None:
        return terms
    return replace(terms, now=now(), boot_id=_boot_id_of(host.name) if host.boot_id else None)


def _boot_id_of(name: str) -> str | None:
    """Of a host we can ask: the one that we are on."""
    return read_boot_id(Live()) if os.uname().nodename == name else None


def host_for(spec: VmSpec) -> HostFacts:
    """As much of this host as a plan of the spec looks at."""
    from launcher.planner.served_by import wanted_engines

    engines = wanted_engines(spec)
    if engines is None and spec.boot.variables is not None:
        engines = ()  # another VM may have them
    kind = spec.boot.firmware
    return this_host(devices=bool(spec.devices), engines=engines, firmware=(kind,) if kind in KINDS else None)


def _firmware(wanted: Collection[str]) -> tuple[FirmwareImage, ...]:
    from launcher.host.firmware_images import read_firmware_images

    return read_firmware_images(Live(), wanted)


def _serving(process: Process, engines: Collection[str], *, asks: bool) -> Serving:
    """`asks`: what the kernel answers us it would answer who runs `up`."""
    from launcher.host.serving import read_serving
    from launcher.kernel.name_spaces import user_name_space
    from launcher.kernel.saying import version_line
    from launcher.vms.looking import state_root
    from launcher.vms.others import other_vms

    root, found = state_root(), read_serving(Live(), process, engines, version_line)
    vms = other_vms(root) if root else ()
    return replace(found, vms=vms, name_space=user_name_space() if asks else None)


def _with_functions(one: PciFunction) -> PciFunction:
    """What interfaces say of virtual functions is in no file: rtnetlink has it."""
    if not one.virtual_functions or not one.interfaces:
        return one
    return replace(one, interfaces=tuple(replace(each, functions=_functions(each)) for each in one.interfaces))


def _functions(one: Interface) -> tuple[VirtualFunction, ...] | None:
    from launcher.kernel.rtnetlink import virtual_functions

    try:
        found = virtual_functions(one.name)
    except OSError:  # it has gone meanwhile, or a service may not ask the kernel
        return None
    return tuple(VirtualFunction(each.number, each.settings) for each in found)


def _confinement() -> Confinement:
    from launcher.kernel.confinable import probe

    return decode(Confinement, probe())


def _kvm() -> KvmFacts | Missing:
    from launcher.kernel.probe import probe

    answers = probe()
    if isinstance(answers, str):
        return decode(Missing, {"missing": answers, "path": "/dev/kvm"})
    extensions = {name: value for name, value in answers.items() if name not in ("api_version", "physical_bits")}
    return KvmFacts(answers["api_version"], extensions, answers["physical_bits"])


def recorded_host(path: str) -> HostFacts:
    """A facts file, as `devices --json` writes it."""
    return facts_in(_read(path), Where(path))


def facts_in(raw: bytes, where: Where) -> HostFacts:
    """Of a facts file. Who does not know what is odd in one, or wrong, leaves it to who does."""
    with _uncollected():
        return (_read_large(raw) if len(raw) > LARGE else None) or decoded(read_json(raw, where), where)


def _read_large(raw: bytes) -> HostFacts | None:
    import json

    from launcher.alike import read_alike

    try:
        host = read_alike(HostFacts, raw.decode(json.detect_encoding(raw), "surrogatepass"), _count)
        _check_words(host)
    except ValueError:
        return None
    return host if host.format_version == FORMAT_VERSION else None


def fit_to_share(host: HostFacts) -> HostFacts:
    """Without its name, serial numbers, MAC addresses and what its kernel parameters say of it."""
    from launcher.host.redact import redacted

    return redacted(host)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Facts are many and none of them is garbage: the collector would take longer to see that than reading takes."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.freeze()  # into its oldest generation, by way of the permanent one: it looks there last
            gc.unfreeze()
            gc.enable()


def decoded(plain: Any, where: Where) -> HostFacts:
    """Of a facts file as JSON has it. Refused, if it is none or a fact does not fit."""
    check_version(plain, where)
    try:
        host = decode(HostFacts, plain)
        _check_words(host)
    except DecodeError as error:
        raise Refused(Diagnostic("E292", f"a fact does not fit: {error}", where, help=(_RECORD,))) from None
    return host


# Compiled where they are used: most who plan read no facts file.
_ID, _CLASS = "[0-9a-f]{4}:[0-9a-f]{4}|", "[0-9a-f]{6}"
_NAME = r"[\w.:+!@, -]{0,255}"  # of a device or a type in sysfs


def _check_words(host: HostFacts) -> None:
    """Who made the file may be anybody: what a device is becomes a word of specs, settings and scripts, a node one of
    commands."""
    is_id, is_class, is_name = (cache(re.compile(one).fullmatch) for one in (_ID, _CLASS, _NAME))
    for one in host.pci:
        if not is_id(one.id):
            raise DecodeError(f"pci.{one.address}.id", f"{one.id!r} is no vendor:device")
        if not is_class(one.class_code):
            raise DecodeError(f"pci.{one.address}.class_code", f"{one.class_code!r} is no six hex digits")
        if one.vfio is not None and not is_own_name(one.vfio):
            raise DecodeError(f"pci.{one.address}.vfio", f"{one.vfio!r} is no name of a vfio-dev")
    for node in host.device_nodes or ():
        if not is_node(node.path):
            raise DecodeError("device_nodes", f"{node.path!r} is none of /dev/kvm, /dev/iommu and /dev/vfio")
    for each in host.mediated:
        if not is_name(each.type) or not is_name(each.parent):
            raise DecodeError(f"mediated.{each.address}", f"{each.type!r} of {each.parent!r} is none")
        if each.vfio is not None and not is_own_name(each.vfio):
            raise DecodeError(f"mediated.{each.address}.vfio", f"{each.vfio!r} is no name of a vfio-dev")
    for parent in host.mediated_parents:
        if not all(map(is_name, (parent.name, *(one.name for one in parent.types)))):
            raise DecodeError(f"mediated_parents.{parent.name}", "it is no device, or has a type that is none")


def check_version(plain: Any, where: Where) -> None:
    version = plain.get("format_version") if isinstance(plain, dict) else None
    if version != FORMAT_VERSION:
        its = "it has no format_version" if version is None else f"its format_version is {version!r}"
        fact = f"{its}, and this vmlaunch reads {FORMAT_VERSION!r}"
        raise Refused(Diagnostic("E291", f"not a facts file: {fact}", where, help=(_RECORD,)))


_RECORD = "record the host again: `vmlaunch devices --json > host.json`"


class _Unfit(ValueError):
    """Facts are sizes, counts, numbers of things. What the kernel writes as -1 is None."""


def _count(text: str) -> int:
    if len(text) < 20 and text[0] != "-":
        return int(text)
    from launcher.codec import number

    if text.startswith("-"):
        raise _Unfit(f"{text} is negative")
    try:
        return number(text)
    except ValueError as error:
        raise _Unfit(str(error)) from None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        fact = f"failed to read the facts file: {error.strerror}"
        raise Refused(Diagnostic("E293", fact, Where(path), help=(_way_out(path),))) from None


def _way_out(path: str) -> str:
    if os.path.isdir(path):
        return "one host is meant here: name a file of this folder; `vmlaunch place SPEC FOLDER` asks all of them"
    return "name a file that `vmlaunch devices --json` has written, and that you may read"


_NEGATIVE, _LONG = rb"-[0-9]", rb"[0-9]{20}"
_BEFORE_A_NUMBER = frozenset(b" \t\r\n:,[")
_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def _may_not_fit(raw: bytes) -> bool:
    """A number in it; to ask each one for itself takes longer than all the rest of reading. In UTF-16, which JSON may
    be in, too, there are zeros between the digits."""
    if b"\0" in raw or any(raw[found.start() - 1] in _BEFORE_A_NUMBER for found in re.finditer(_NEGATIVE, raw)):
        return True
    each_fourth = raw[::4].translate(_DIGITS)  # five of them in a row are of any 20 digits; to look for 20 takes longer
    return b"0" * 5 in each_fourth and re.search(_LONG, raw) is not None


def read_json(raw: bytes, where: Where) -> Any:
    """`where` is the file, or the line of it that this is."""
    import json  # this host is read without

    try:
        return json.loads(raw, parse_int=_count) if _may_not_fit(raw) else json.loads(raw)
    except _Unfit as error:
        fact = f"a fact does not fit: {error}"
        raise Refused(Diagnostic("E292", fact, where, help=(_RECORD,))) from None
    except json.JSONDecodeError as error:
        line = where.line or error.lineno
        where = Where(where.file, line, error.colno, error.colno + 1)
        raise Refused(Diagnostic("E290", "the facts file is not JSON from here on", where, help=(_RECORD,))) from None
    except (ValueError, RecursionError):
        fact = "the facts file is not JSON: it is not text, nested too deeply, or has a number too long to be one"
        raise Refused(Diagnostic("E290", fact, where, help=(_RECORD,))) from None
