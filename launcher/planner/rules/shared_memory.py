"""Rules about guest memory that engines map: a file for each bank, told to them in pieces. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.linux import release
from launcher.planner.needs import PIECES_OF_VHOST, PIECES_OF_VHOST_USER, populates
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.served_by import MADE
from launcher.typed import TYPE_CHECKING
from launcher.values import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Serving
    from launcher.planner.decided import Situation
    from launcher.spec.parts import Bank

_COLLAPSE = (6, 1)  # the first release with MADV_COLLAPSE, which gives shared memory its huge pages


def _shared_memory(it: Situation) -> Iterator[Diagnostic]:
    """Engines map the guest's memory, so it is a file, of which each bank is one."""
    serving, path = it.host.serving, _first_with_engine(it)
    if path is None or serving is None:
        return
    largest = max(bank.size for bank in it.spec.memory)
    if serving.file_size is not None and serving.file_size < largest:
        fact = f"a bank of memory has {show_size(largest)}, and a file of this process {show_size(serving.file_size)}"
        evidence = ("engines map the guest's memory, which is a file in memory for that (`ulimit -f`)",)
        way = "`ulimit -f unlimited`, or LimitFSIZE=infinity in the service"
        yield Diagnostic("E658", fact, in_spec("memory"), evidence, (way,))
    reasons = dict.fromkeys(_why_small(bank, serving, it) for bank in it.spec.memory if bank.pages == "thp")
    small = tuple(filter(None, reasons))
    if small:
        fact = f"the memory that engines share has 4 KiB pages on Linux {it.host.kernel}"
        fix = "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"
        help_ = (f"as root: `{fix}`", "or reserve huge pages, and write `pages: 2MiB`")
        yield Diagnostic("W657", fact, in_spec(path), small, help_, fix)


def _why_small(bank: Bank, serving: Serving, it: Situation) -> str:
    """Nothing where it gets huge pages: by the setting, collapsed when it was populated, or of a file system that is
    mounted for it, by root or in name spaces."""
    if serving.shmem == "deny":
        return "/sys/kernel/mm/transparent_hugepage/shmem_enabled is `deny`"
    if serving.shmem != "never":
        return ""
    if populates(bank, it.spec):
        return "" if release(it.host.kernel) >= _COLLAPSE else "huge pages for it came with Linux 6.1 (MADV_COLLAPSE)"
    if "cap_sys_admin" in it.host.process.capabilities or serving.name_space in (None, MADE):
        return ""
    return "a file system with huge pages is mounted in a user name space, and this process may make none"


def _pieces(it: Situation) -> Iterator[Diagnostic]:
    """Each bank is one, or several where addresses are reserved in its way."""
    count, serving = len(it.ranges), it.host.serving
    of_kernel = (serving.vhost_regions if serving else None) or PIECES_OF_VHOST
    processes = [one.alias for one in it.virtio if one.engine == "vhost-user"]
    kernel = [one.alias for one in it.virtio if one.engine != "vhost-user"]
    fewer = ("have fewer banks: `memory: 8GiB` is one", "banks without `at` that follow each other are still several")
    if processes and count > PIECES_OF_VHOST_USER:
        fact = f"guest memory is in {count} pieces, and who serves {processes[0]} takes {PIECES_OF_VHOST_USER}"
        evidence = ("vhost-user tells an engine of 8 regions of memory at most",)
        yield Diagnostic("E659", fact, in_spec("memory"), (*evidence, _split(it)), fewer)
    elif kernel and count > of_kernel:
        fact = f"guest memory is in {count} pieces, and vhost, which serves {kernel[0]}, takes {of_kernel}"
        evidence = (f"max_mem_regions of the module vhost is {of_kernel}",)
        more = f"echo options vhost max_mem_regions={count} > /etc/modprobe.d/vhost.conf"
        either = (fewer[0], f"or, as root: `{more}`, and load the module again")
        yield Diagnostic("E659", fact, in_spec("memory"), (*evidence, _split(it)), either)


def _split(it: Situation) -> str:
    banks = len(it.spec.memory)
    held = f", and {len(it.reserved)} reserved places are in their way" if it.reserved else ""
    return f"{'it is one bank' if banks == 1 else f'they are {banks} banks'}, of which none may be where BARs are{held}"


def _first_with_engine(it: Situation) -> str | None:
    """The first entry that a process serves, by vhost-user."""
    spec = it.spec
    nics = (f"nics.{alias}" for alias, one in spec.nics.items() if one.user or one.socket is not None)
    every = (*(f"disks.{alias}" for alias in spec.disks), *nics, *(f"shares.{alias}" for alias in spec.shares))
    return next(iter(every), None)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _shared_memory),
    Rule("kernel", _pieces),
)
