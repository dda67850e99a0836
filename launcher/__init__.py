"""vmlaunch: a declarative launcher for KVM virtual machines that own real PCI devices.

For programs: `read_spec(path)`, `this_host()`, `recorded_host(path)`, `make_plan(spec, host)`, `bring_up(plan)`,
`write_plan(plan, path)`, `read_plan(path)`, `place(specs, hosts)`, `import_machine(path)`; for VMs that any process
started, `all_vms()`, `folder_of(name)`, and with such a folder `report_of(folder)`, `listen(folder, who, on_console)`,
`bring_down(folder)`. What goes wrong is a LauncherError with its diagnostics. Each is imported when it is first asked
for.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` would be a quarter of `vmlaunch --help`
if TYPE_CHECKING:
    from launcher.api.folders import all_vms, folder_of
    from launcher.api.hosts import recorded_host, this_host
    from launcher.api.importing import import_machine
    from launcher.api.inspecting import report_of
    from launcher.api.listening import listen
    from launcher.api.placing import place
    from launcher.api.plans import make_plan, read_plan, read_spec, write_plan
    from launcher.api.stopping import bring_down
    from launcher.api.vms import Vm, bring_up
    from launcher.errors import Diagnostic, LauncherError

_ROOMS = {
    "all_vms": "launcher.api.folders",
    "folder_of": "launcher.api.folders",
    "import_machine": "launcher.api.importing",
    "recorded_host": "launcher.api.hosts",
    "this_host": "launcher.api.hosts",
    "report_of": "launcher.api.inspecting",
    "listen": "launcher.api.listening",
    "place": "launcher.api.placing",
    "make_plan": "launcher.api.plans",
    "read_plan": "launcher.api.plans",
    "read_spec": "launcher.api.plans",
    "write_plan": "launcher.api.plans",
    "bring_down": "launcher.api.stopping",
    "Vm": "launcher.api.vms",
    "bring_up": "launcher.api.vms",
    "Diagnostic": "launcher.errors",
    "LauncherError": "launcher.errors",
}

__all__ = [
    "Diagnostic",
    "LauncherError",
    "Vm",
    "all_vms",
    "bring_down",
    "bring_up",
    "folder_of",
    "import_machine",
    "listen",
    "make_plan",
    "place",
    "read_plan",
    "read_spec",
    "recorded_host",
    "report_of",
    "this_host",
    "write_plan",
]


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_ROOMS[name]), name)
    return found
