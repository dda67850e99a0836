"""Facts of hosts in; what a scheduler can give of them out, in its words. A bad host does not keep back the others."""

from __future__ import annotations

import sys

from launcher.errors import Diagnostic, WrongUsage
from launcher.foreign.slices import DOMAIN
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from launcher.foreign.units import Offer

SCRIPTS = ("prolog", "epilog")


def show(options: argparse.Namespace) -> int:
    """Exit 1 if a host was left out."""
    if options.format in SCRIPTS:
        return _script(options)
    from launcher.api.units import wishes_of
    from launcher.cli.terminal import drawn

    _check_domain(options)
    offers, told = _offers(options, wishes_of(options.wish))
    if told:
        print(drawn(told, options.sources, sys.stderr), end="\n\n", file=sys.stderr)
    if offers or not told:
        print(_text(offers, options), end="")
    return int(any(one.severity == "error" for one in told))


def _script(options: argparse.Namespace) -> int:
    """The same on every node, whatever devices it has."""
    from launcher.foreign.slurm_job import epilog, prolog

    if options.host or options.wish or options.domain:
        help_ = (f"`vmlaunch devices --format {options.format}`",)
        raise WrongUsage(Diagnostic("E297", f"the {options.format} is the same for all hosts", help=help_))
    print(prolog() if options.format == "prolog" else epilog(), end="")
    return 0


def _offers(
    options: argparse.Namespace, wishes: Mapping[str, dict[str, object]]
) -> tuple[list[Offer], list[Diagnostic]]:
    from launcher.api.hosts import this_host
    from launcher.api.units import offered, offers_in
    from launcher.foreign import slices, slurm_nodes

    check = slices.check_node if options.format == "resourceslice" else slurm_nodes.check_name
    if options.host:
        return offers_in(options.host, wishes, check)
    host = this_host(engines=None, firmware=None)
    check(host.name)
    return [offered(host, wishes)], []


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
    from launcher.foreign.slices import check_domain

    check_domain(name)
