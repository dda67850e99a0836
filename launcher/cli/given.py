"""Words of a command line in; the spec or saved plan, and the host, that they name, out. `-` is stdin."""

from __future__ import annotations

import os

from launcher.cli.spec_folder import read_one
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.host.facts import HostFacts
    from launcher.plan.plan import Plan
    from launcher.spec.load import Loaded
    from launcher.spec.parts import VmSpec
    from launcher.values import HostDevice


def read_spec(path: str, sets: Sequence[str], sources: dict[str, str]) -> Loaded:
    """Pass `options.sources`: whatever is refused later can then be drawn in the text it came from."""
    return load_bytes(read_one(path, "validate"), path, sets, sources)


def load_bytes(raw: bytes, path: str, sets: Sequence[str], sources: dict[str, str]) -> Loaded:
    """For who has looked into the file already, to tell a spec from a saved plan."""
    without_plugins()
    from launcher.api.plans import load
    from launcher.spec.sets import set_name

    sources[path] = raw.decode("utf-8-sig", "replace")
    sources |= {set_name(number): text for number, text in enumerate(sets, 1)}
    return load(raw, path, sets)


def saved_plan(raw: bytes, options: argparse.Namespace) -> Plan:
    """It is an answer already: nothing on the command line changes what was asked."""
    from launcher.api.plans import decode_plan
    from launcher.errors import Diagnostic, WrongUsage

    plan = decode_plan(raw, options.spec)
    if options.set or getattr(options, "host", None) or (options.only and options.verb == "plan"):
        help_ = ("change the spec, plan again",)
        raise WrongUsage(Diagnostic("E514", "a saved plan cannot be changed by --set, --host or --only", help=help_))
    return plan


def chosen_host(options: argparse.Namespace, spec: VmSpec) -> HostFacts:
    from launcher.api.hosts import host_for, recorded_host

    return recorded_host(options.host) if options.host else host_for(spec)


def given_functions(options: argparse.Namespace, host: HostFacts | None = None) -> tuple[HostDevice, ...] | None:
    """What the plan may touch; None: `--only` was not said. `env`: what a scheduler gave on this `host`."""
    if options.only is None:
        return None
    if options.only == "env":
        from launcher.api.given import from_environment
        from launcher.api.hosts import this_host

        return from_environment(os.environ, host or this_host(engines=None, firmware=None))
    from launcher.api.only import given_functions as read

    return read(options.only)


def without_plugins() -> None:
    """A command has no use for plugins of pydantic, and looking for them reads the metadata of all packages."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
