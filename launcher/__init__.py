"""vmlaunch: a declarative launcher for KVM virtual machines that own real PCI devices.

For programs: `read_spec(path)`, `this_host()`, `recorded_host(path)`, `make_plan(spec, host)`, `bring_up(plan)`,
`write_plan(plan, path)`, `read_plan(path)`; what goes wrong is a LauncherError with its diagnostics. Each is imported
when it is first asked for.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` would be a quarter of `vmlaunch --help`
if TYPE_CHECKING:
    from launcher.api.hosts import recorded_host, this_host
    from launcher.api.plans import make_plan, read_plan, read_spec, write_plan
    from launcher.api.vms import Vm, bring_up
    from launcher.errors import Diagnostic, LauncherError

_ROOMS = {
    "recorded_host": "launcher.api.hosts",
    "this_host": "launcher.api.hosts",
    "make_plan": "launcher.api.plans",
    "read_plan": "launcher.api.plans",
    "read_spec": "launcher.api.plans",
    "write_plan": "launcher.api.plans",
    "Vm": "launcher.api.vms",
    "bring_up": "launcher.api.vms",
    "Diagnostic": "launcher.errors",
    "LauncherError": "launcher.errors",
}

__all__ = [
    "Diagnostic",
    "LauncherError",
    "Vm",
    "bring_up",
    "make_plan",
    "read_plan",
    "read_spec",
    "recorded_host",
    "this_host",
    "write_plan",
]


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_ROOMS[name]), name)
    return found
