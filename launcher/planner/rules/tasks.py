"""Rules about how many processes, threads and open files who runs `up` may have. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.needs import least_files, threads_of, user_limit
from launcher.planner.networks import networked
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.record import record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Process
    from launcher.planner.decided import Situation

# `up`, keeper and runner are there at once; the first is there already, and the process that planned goes meanwhile. A
# standby comes after that one has gone.
_PROCESSES, _STARTED, _AT_MOST = 3, 2, 4


@record
class _Bound:
    """`whose` allows `most`, of which `used` are in use now (None: not known); `raising` is the command that helps."""

    whose: str
    most: int
    used: int | None
    raising: str
    elsewhere: str


def _bounds(process: Process, wanted: int) -> Iterator[_Bound]:
    """Limits of the user and of the cgroups; `wanted` is how many more they should allow."""
    if (most := user_limit(process)) is not None:
        more = (process.user_tasks or 0) + wanted
        command, service = f"sudo prlimit --pid $$ --nproc={more}", f"for a systemd service: `LimitNPROC={more}`"
        yield _Bound(f"uid {process.uid} (ulimit -u)", most, process.user_tasks, command, service)
    for limit in process.task_limits:
        unit, more = limit.cgroup.rpartition("/")[2], limit.current + wanted
        known = unit.endswith((".service", ".slice", ".scope"))
        by_systemd = f"systemctl set-property --runtime {unit} TasksMax={more}"
        command = by_systemd if known else f"echo {more} > /sys/fs/cgroup{limit.cgroup.rstrip('/')}/pids.max"
        yield _Bound(f"cgroup {limit.cgroup}", limit.maximum, limit.current, command, "for a container: `--pids-limit`")


def _too_few_tasks(it: Situation) -> Iterator[Diagnostic]:
    """Of several limits the tightest. What is in use may end, and memory may find fewer CPUs: that only warns."""
    standby = any(one.changes for one in networked(it))
    threads, least = threads_of(it), it.spec.cpus.count + _PROCESSES + standby
    found = list(_bounds(it.host.process, threads + _AT_MOST))
    never = [one for one in found if one.most < least]
    started = _STARTED + standby
    now = [one for one in found if one.most < threads + max(_AT_MOST, (one.used or 0) + started)]
    if never:
        one = min(never, key=lambda one: one.most)
        fact = f"the VM takes {least} processes and threads, and {one.whose} may have {one.most}"
        yield _diagnostic("E426", fact, one, it)
    elif now:
        one = min(now, key=lambda one: one.most - (one.used or 0))
        in_use = f" and has {one.used}" if one.used else ""
        fact = f"the VM takes {threads + started} more processes and threads, and {one.whose} may have {one.most}"
        yield _diagnostic("W405", fact + in_use, one, it)


def _diagnostic(code: str, fact: str, one: _Bound, it: Situation) -> Diagnostic:
    vcpus, crew = it.spec.cpus.count, threads_of(it)
    before = (f"before them one for each host CPU, to populate memory: {crew}",) if crew > vcpus else ()
    evidence = (f"a thread for each vCPU: {vcpus}", *before)
    help_ = (f"raise it: `{one.raising}`", one.elsewhere)
    return Diagnostic(code, fact, in_spec("cpus.count"), evidence, help_, one.raising)


def _too_few_files(it: Situation) -> Iterator[Diagnostic]:
    """`open_files` is the hard limit, to which `up` raises its own."""
    limit, least = it.host.process.open_files, least_files(it)
    if limit is None or least <= limit:
        return
    fact = f"the VM takes at least {least} open files, and the limit is {limit}"
    fix = f"ulimit -n {max(1024, 2 * least)}"
    help_ = (f"raise it, as root: `{fix}`", f"for a systemd service: LimitNOFILE={max(1024, 2 * least)}")
    yield Diagnostic("E428", fact, in_spec("cpus.count"), help=help_, fix=fix)


RULES: tuple[Rule, ...] = (
    Rule("kernel", _too_few_tasks),
    Rule("kernel", _too_few_files),
)
