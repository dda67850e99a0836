"""The types of a spec's fields: plain data in, values out, with their JSON Schema and how they are written. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator

from launcher.spec import addresses, consent, cpu_list, scalars, served, short_forms, sizes
from launcher.spec.cpu_list import LAST_CPU
from launcher.spec.kinds import WORDS
from launcher.spec.scalars import COMMAND_LINE
from launcher.spec.sizes import PHYSICAL
from launcher.values import Mdev, PciAddress

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
SIZE = r"^0*[1-9][0-9]*(KiB|MiB|GiB|TiB)$"
DEVICE_ID = r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$"
CLASS = rf"^({'|'.join(WORDS)}|([0-9a-fA-F]{{2}}){{1,3}})$"
GUEST = r"^(0000:)?00:1[0-9a-fA-F]\.[0-7]$"
HEX = r"^0x0*[0-9a-fA-F]{1,13}$"
MAC = r"^(?!00:00:00:00:00:00$)[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$"
INTERFACE = r"^(?!\.{1,2}$)[^/:\s\x00]{1,15}$"
TAG = r"^[a-z0-9][a-z0-9-]{0,35}$"
MDEV_NAME = rf"^{addresses.MDEV_NAME}$"
UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
PIN = r"^ *[0-9]+(-[0-9]+)? *(, *[0-9]+(-[0-9]+)? *)*$"


def _any_case(*words: str) -> str:
    """ECMA 262 has no flag within a pattern."""
    return "|".join("".join(f"[{one}{one.upper()}]" for one in word) for word in words)


# A text of these is meant as true or false (`scalars.truth`); a kernel is not named in place of the firmware.
ROM = rf"^(?!\s*({_any_case(*scalars.TRUTH)})\s*$)(?=[^\x00]*\S)[^\x00]*$"
BOOT = rf"^(?!([^\x00]*/)?({_any_case(*short_forms.KERNELS)})[^/]*$)(?=[^\x00]*\S)[^\x00]*$"
NOT_EMPTY = r"^(?=[^\x00]*\S)[^\x00]*$"


def parsed(convert: Callable[[object], object], form: Any) -> PlainValidator:
    """Validated by `convert`; `form` is what the JSON Schema says."""
    return PlainValidator(convert, json_schema_input_type=form)


def matching(pattern: str) -> Any:
    return Annotated[str, Field(pattern=pattern)]


def written(show: Callable[[Any], str]) -> PlainSerializer:
    """How a value goes back into a spec."""
    return PlainSerializer(show, return_type=str)


NotEmpty = matching(NOT_EMPTY)
BootText = matching(BOOT)
HostCpu = Annotated[int, Field(ge=0, le=LAST_CPU)]
HostCpus = Annotated[list[HostCpu], Field(json_schema_extra={"uniqueItems": True})]
CommandLine = Annotated[str, Field(max_length=COMMAND_LINE, pattern=r"^[^\x00\n\r]*$")]
PhysicalAddress = Annotated[int, Field(ge=0, lt=PHYSICAL)]

Version = Annotated[int, parsed(scalars.version, Literal[1])]
Text = Annotated[str, parsed(scalars.text, NotEmpty)]
Name = Annotated[str, parsed(scalars.name, matching(NAME))]
Alias = Annotated[str, AfterValidator(scalars.alias)]
Size = Annotated[int, parsed(sizes.size, matching(SIZE)), written(sizes.size_text)]
Firmware = Annotated[str, parsed(scalars.firmware, NotEmpty)]
Rom = Annotated[bool | str, parsed(scalars.rom, bool | matching(ROM))]
Cmdline = Annotated[str, parsed(scalars.cmdline, CommandLine)]
Pin = Annotated[
    tuple[int, ...],
    parsed(cpu_list.pin, matching(PIN) | HostCpu | HostCpus),
    PlainSerializer(list, return_type=list[int]),
]
HostAddress = Annotated[PciAddress, parsed(addresses.host_address, PciAddress), written(str)]
MdevName = Annotated[str, parsed(addresses.mdev_name, matching(MDEV_NAME))]
MdevUuid = Annotated[Mdev, parsed(addresses.mdev, matching(UUID)), written(str)]
GuestAddress = Annotated[PciAddress, parsed(addresses.guest_address, matching(GUEST)), written(addresses.guest_text)]
MemoryAddress = Annotated[int, parsed(addresses.memory_address, PhysicalAddress | matching(HEX)), written(hex)]
Mac = Annotated[str, parsed(addresses.mac, matching(MAC))]
NicMac = Annotated[str, parsed(served.mac, matching(MAC))]
Interface = Annotated[str, parsed(served.interface, matching(INTERFACE))]
DiskPath = Annotated[str, parsed(served.disk_path, NotEmpty)]
SocketPath = Annotated[str, parsed(served.socket_path, NotEmpty)]
SharePath = Annotated[str, parsed(served.share_path, NotEmpty)]
_NoKeys = Annotated[dict[str, str], Field(max_length=0)]
User = Annotated[bool, parsed(served.user, Literal[True] | _NoKeys)]
_CidNumber = Annotated[int, Field(ge=served.FIRST_CID, le=served.LAST_CID)]
Cid = Annotated[int | str, parsed(served.cid, _CidNumber | Literal["auto"])]
DeviceId = Annotated[str, parsed(addresses.device_id, matching(DEVICE_ID))]
_NAMES = Annotated[list[str], Field(min_length=1)]
NamedUses = Annotated[dict[Literal["in-use"], str | _NAMES], Field(min_length=1)]
Blocker = Annotated[str, parsed(consent.word, Literal[consent.WORDS] | matching(r"^in-use=.*\S") | NamedUses)]
DeviceClass = Annotated[str, parsed(addresses.device_class, matching(CLASS))]
