"""The keeper tells a physical function what it gives a virtual one: a step in, the change made; what the journal kept
in, what was there before given again.

Every function here can be called again after it was killed anywhere: it looks first, at each field for itself.
"""

from __future__ import annotations

import errno

from launcher.codec import DecodeError, decode, written
from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.api import VfChange, VfPlace, VirtualFunctions
from launcher.plan.steps import SetVirtualFunction
from launcher.shell import quote
from launcher.typed import Any
from launcher.values import LABELS

MOST_NAME = 15  # characters
_IP = {"mac": "mac", "vlan": "vlan", "trust": "trust", "spoofcheck": "spoofchk"}


def change_of(step: SetVirtualFunction) -> VfChange:
    return VfChange(VfPlace(step.address, step.physical, step.number), step.before, step.after)


def memory_of(step: SetVirtualFunction) -> dict[str, Any]:
    """For the journal: the step says all that undoing it takes."""
    return written(step)


def read_memory(memory: dict[str, Any]) -> SetVirtualFunction:
    """What the journal kept. OSError when it names something that no keeper of ours would write there."""
    try:
        step = decode(SetVirtualFunction, memory)
    except DecodeError as error:
        raise OSError(errno.EINVAL, f"the journal's entry is not one of ours: {error}") from None
    if not _is_name(step.interface):
        raise OSError(errno.EINVAL, "the journal's entry is not one of ours: it names an odd interface")
    return step


def _is_name(interface: str) -> bool:
    """Whether the kernel could have an interface of this name (dev_valid_name): no blanks in it."""
    return 0 < len(interface) <= MOST_NAME and interface.isprintable() and not {*" /:"} & {*interface}


def check(step: SetVirtualFunction, functions: VirtualFunctions) -> None:
    """StepFailed when it is not as planned: what would be put back is somebody else's by now."""
    here = functions.settings(change_of(step).place).only(step.before.said())
    if here != step.before:
        where = f"vf {step.number} of {step.interface}"
        fact = f"{where} has {here}, and had {step.before} when it was planned"
        raise StepFailed(Diagnostic("E524", fact, help=("plan again",)))


def tell(step: SetVirtualFunction, functions: VirtualFunctions) -> None:
    """OSError from the kernel; EBUSY: somebody else has changed it since it was looked at."""
    if foreign := functions.change(change_of(step)):
        raise OSError(errno.EBUSY, f"somebody else has set {_named(foreign)} meanwhile")


def restore(step: SetVirtualFunction, functions: VirtualFunctions) -> str:
    """What is left as somebody else has set it since, in words. A virtual function that is gone took all with it."""
    try:
        foreign = functions.change(change_of(step).undone)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return ""
        raise
    if not foreign:
        return ""
    since = f"has {_named(foreign)} that somebody else has set since"
    return f"vf {step.number} of {step.interface} ({step.address}) {since}: left as it is"


def _named(names: tuple[str, ...]) -> str:
    return " and ".join(LABELS[name] for name in names)


def describe(step: SetVirtualFunction) -> str:
    return f"vf {step.number} of {step.interface} ({step.address}) back to {step.before}"


def commands(step: SetVirtualFunction) -> str:
    """What an administrator would type to put it back."""
    words = " ".join(_words(name, value) for name, value in step.before.said().items())
    return f"ip link set dev {quote(step.interface)} vf {step.number} {words}"


def _words(name: str, value: Any) -> str:
    if name == "vlan":
        return f"vlan {value.id} qos {value.qos} proto {value.protocol}"
    return f"{_IP[name]} {value if name == 'mac' else 'on' if value else 'off'}"
