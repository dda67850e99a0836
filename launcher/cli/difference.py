"""A spec or a saved plan in; what differs from the plan of the VM of that name that is up, on stdout."""

from __future__ import annotations

import sys

from launcher.errors import Diagnostic, NoSuchVm, Refused
from launcher.report.escapes import as_json
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.plan.plan import Plan


def show_difference(raw: bytes, options: argparse.Namespace) -> int:
    """`raw` is what the file holds. 0 with and without a difference: that it could be told is the success."""
    from launcher.codec import encode
    from launcher.report.plan_diff import diff_text, differences

    running, mine = _both(raw, options)
    found = differences(running, mine)
    if options.format == "json":
        print(as_json({"name": mine.name, "differences": [encode(one) for one in found]}))
        return 0
    from launcher.report.lines import width_of

    print(diff_text(found, width_of(sys.stdout)) or visible(f"{mine.name} is up with this plan: no difference"))
    return 0


def compared_with_running(raw: bytes, name: str, options: argparse.Namespace) -> str:
    """A sentence about the VM of that name that is up; empty when there is none."""
    from launcher.api.folders import is_in_use

    if not is_in_use(name):
        return ""
    from launcher.api.comparing import check_same

    try:
        _running(name)
        check_same(*_both(raw, options))
    except NoSuchVm:
        return ""
    except Refused as refused:
        if (first := refused.diagnostics[0]).code != "E507":  # there is no comparing, as `up` will say
            return first.message
        return f"{name} is up with another plan: `--diff` shows the difference; `up` needs `vmlaunch down {name}` first"
    return f"{name} is up with this plan already"


def _both(raw: bytes, options: argparse.Namespace) -> tuple[Plan, Plan]:
    """A spec is planned on the host as it was before the VM that is up changed it."""
    from launcher.api.plans import is_saved_plan, make_plan
    from launcher.api.running import as_before
    from launcher.cli.given import chosen_host, given_functions, load_bytes, saved_plan

    if is_saved_plan(raw):
        plan = saved_plan(raw, options)
        return _running(plan.name), plan
    loaded = load_bytes(raw, options.spec, options.set, options.sources)
    running = _running(loaded.spec.name)
    host = as_before(chosen_host(options, loaded.spec), running)
    return running, make_plan(loaded, host, given_functions(options, host))


def _running(name: str) -> Plan:
    from launcher.api.folders import folder_named
    from launcher.api.running import running_plan

    path = folder_named(name)
    running = running_plan(path) if path else None
    if running is None:
        help_ = ("`vmlaunch ps` lists the VMs that are up", "without --diff the whole plan is shown")
        raise NoSuchVm(Diagnostic("E520", f"no VM of the name {name} is up to compare with", help=help_))
    return running
