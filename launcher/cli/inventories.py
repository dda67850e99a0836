"""Facts of hosts in; what a scheduler can give of them out, in its words. A bad host does not keep back the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, LauncherError, WrongUsage
from launcher.foreign.slices import DOMAIN

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from launcher.foreign.units import Offer
    from launcher.host.facts import HostFacts

SCRIPTS = ("prolog", "epilog")


def show(options: argparse.Namespace) -> int:
    """Exit 1 if a host was left out."""
    if options.format in SCRIPTS:
        return _script(options)
    from launcher.api.units import wishes_of
    from launcher.cli.error_output import show as say

    _check_domain(options)
    refused: list[LauncherError] = []
    offers = sorted(_offers(options, wishes_of(options.wish), refused), key=lambda one: one.host)
    for one in refused:
        say(one, options)
    if offers or not refused:
        print(_text(offers, options), end="")
    return max((one.exit_code for one in refused), default=0)


def _script(options: argparse.Namespace) -> int:
    """The same on every node, whatever devices it has."""
    from launcher.foreign.slurm_job import epilog, prolog

    if options.host or options.wish or options.domain:
        help_ = (f"`vmlaunch devices --format {options.format}`",)
        raise WrongUsage(Diagnostic("E297", f"the {options.format} is the same for all hosts", help=help_))
    print(prolog() if options.format == "prolog" else epilog(), end="")
    return 0


def _offers(
    options: argparse.Namespace, wishes: dict[str, dict[str, object]], refused: list[LauncherError]
) -> Iterator[Offer]:
    from launcher.api.units import offered

    for host in _hosts(options, refused):
        try:
            _check_name(host.name, options.format)
            yield offered(host, wishes)
        except LauncherError as error:
            refused.append(error)


def _hosts(options: argparse.Namespace, refused: list[LauncherError]) -> Iterator[HostFacts]:
    from launcher.api.host_folder import recorded_hosts
    from launcher.api.hosts import this_host

    if not options.host:
        yield this_host(engines=None, firmware=None)
        return
    for one in recorded_hosts(options.host):
        if isinstance(one, LauncherError):
            refused.append(one)
        else:
            yield one


def _check_name(name: str, kind: str) -> None:
    from launcher.foreign import slices, slurm_nodes

    check = slices.check_node if kind == "resourceslice" else slurm_nodes.check_name
    check(name)


def _text(offers: list[Offer], options: argparse.Namespace) -> str:
    from launcher.foreign import slices, slurm_nodes

    if options.format == "resourceslice":
        return slices.resource_slices(offers, options.domain or DOMAIN)
    return slurm_nodes.gres_conf(offers) if options.format == "gres" else slurm_nodes.nodes_conf(offers)


def _check_domain(options: argparse.Namespace) -> None:
    name = options.domain
    if name is None:
        return
    if options.format != "resourceslice":
        help_ = ("leave it out, or say --format resourceslice",)
        raise WrongUsage(Diagnostic("E297", "--domain is the name of a driver of Kubernetes'", help=help_))
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,51}[a-z0-9])?", name):
        help_ = ("write a domain of yours, such as pci.example.com: small letters, digits, `-`, `.`",)
        raise WrongUsage(Diagnostic("E581", f"--domain: {name!r} is no name of a driver", help=help_))
