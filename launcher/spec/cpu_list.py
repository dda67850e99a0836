"""`8-15`, `8-11,16` or a list of numbers in, host CPUs in that order out; a Problem is raised otherwise. Pure."""

from __future__ import annotations

from launcher.patterns import re
from launcher.spec.problems import Problem
from launcher.spec.scalars import wrong_kind
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LAST_CPU = 8191  # NR_CPUS of the largest kernels is 8192

_RANGE = r"([0-9]{1,9})(?:-([0-9]{1,9}))?"


def pin(given: object) -> tuple[int, ...]:
    """`8-15`, `8-11,16` or a list of numbers."""
    if isinstance(given, list | tuple):
        return _once(_cpu(one) for one in given)
    if isinstance(given, str | int) and not isinstance(given, bool):
        return _once(cpu for part in str(given).split(",") for cpu in _cpu_range(part.strip()))
    raise wrong_kind("host CPUs such as 8-15", given).error()


def _once(cpus: Iterable[int]) -> tuple[int, ...]:
    seen: dict[int, None] = {}
    for cpu in cpus:
        if cpu in seen:
            help_ = ("each vCPU has a host CPU of its own",)
            raise Problem("E120", f"host CPU {cpu} is there twice", help=help_).error()
        seen[cpu] = None
    return tuple(seen)


def _cpu(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool):
        raise wrong_kind("a host CPU number", given).error()
    if not 0 <= given <= LAST_CPU:
        raise Problem("E120", f"there is no host CPU {given}; the last one Linux can have is {LAST_CPU}").error()
    return given


def _cpu_range(part: str) -> range:
    match = re.fullmatch(_RANGE, part)
    if match is None:
        help_ = ("write 8-15, or 8-11,16, or a list of numbers",)
        raise Problem("E120", f"not a list of host CPUs: {part or 'nothing'}", help=help_).error()
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        fix = f"{last}-{first}"
        raise Problem("E120", f"the range {part} runs backwards", help=(f"write {fix}",), fix=fix).error()
    return range(_cpu(first), _cpu(last) + 1)
