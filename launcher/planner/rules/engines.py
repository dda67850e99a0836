"""Rules about the programs that serve a guest: there, new enough, in nobody else's hands. Pure."""

from __future__ import annotations

from itertools import chain

from launcher.errors import Diagnostic
from launcher.host.facts import ENGINES
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import Program
    from launcher.planner.decided import Situation

_DISKS, _SHARES, _USER_NETWORK = ENGINES


class _Known(NamedTuple):
    what: str
    packages: str


_KNOWN = {
    _DISKS: _Known("serves disks", "`apt install qemu-utils` on Debian 13, `qemu-system-common` on Debian 12"),
    _SHARES: _Known(
        "serves shares", "`apt install virtiofsd` on Debian 13; on Debian 12 it comes with qemu-system-common"
    ),
    _USER_NETWORK: _Known("serves networks without rights", "`apt install passt` on Debian 13"),
}
_BY = {_DISKS: "a guest's disk is served", _USER_NETWORK: "a guest's NIC is served"}
# Debian 12's passt is of March 2023; kubevirt names 2025_02_17 as the first that it uses so. That of disks came with
# QEMU 5.2, and some distributions leave it out.
_NEWER = {
    _DISKS: ("install one of QEMU 5.2 or later that is built with it, as Debian's is",),
    _USER_NETWORK: ("passt 2025_02_17 and later have it, as Debian 13 does", "or take `bridge:` or `tap:`"),
}


def _first(name: str, it: Situation) -> Where | None:
    """The entry that wants it; None: nobody does."""
    spec = it.spec
    wanting = {
        _DISKS: chain(
            (f"disks.{alias}" for alias, one in spec.disks.items() if one.path is not None),
            ("cloud-init" for _ in [spec.cloud_init] if spec.cloud_init is not None),
        ),
        _SHARES: (f"shares.{alias}" for alias in spec.shares),
        _USER_NETWORK: (f"nics.{alias}" for alias, one in spec.nics.items() if one.user),
    }
    path = next(wanting[name], None)
    return None if path is None else in_spec(path)


def _not_recorded(it: Situation) -> Iterator[Diagnostic]:
    """A facts file of before."""
    spec = it.spec
    wishes = {"disks": spec.disks, "nics": spec.nics, "shares": spec.shares, "vsock": spec.vsock}
    named = next((kind for kind, wish in {**wishes, "cloud-init": spec.cloud_init}.items() if wish), None)
    if it.host.serving is None and named:
        fact = "what this host has for disks, networks, shares and vsock was not recorded with it"
        help_ = ("record the host again: `vmlaunch devices --json > host.json`",)
        yield Diagnostic("W216", fact, in_spec(named), help=help_)


def _there(it: Situation) -> Iterator[Diagnostic]:
    if it.host.serving is None:
        return
    for name in ENGINES:
        where, program = _first(name, it), it.host.serving.programs.get(name)
        if where is None:
            continue
        if program is None:
            known = _KNOWN[name]
            fact = f"{name}, which {known.what}, is not installed"
            yield Diagnostic("E630", fact, where, help=(known.packages,))
        else:
            yield from _usable(name, program, where)


def _usable(name: str, program: Program, where: Where) -> Iterator[Diagnostic]:
    if program.loose:
        fact = f"{program.path} can be changed by others, and would be started with what is served"
        fix = f"chown root:root {program.path} && chmod go-w {program.path}"
        yield Diagnostic("E631", fact, where, help=(f"as root: `{fix}`",), fix=fix)
    elif program.vhost_user is False:
        version = program.version or "of an unknown version"
        fact = f"{program.path} ({version}) has no vhost-user, by which {_BY[name]}"
        yield Diagnostic("E632", fact, where, help=_NEWER[name])
    elif name == _SHARES and program.kind is None:
        fact = f"{program.path} does not say which virtiofsd it is, QEMU's or the one in Rust"
        yield Diagnostic("E633", fact, where, (), (f"`{program.path} --version` should", _KNOWN[name].packages))


RULES: tuple[Rule, ...] = (
    Rule("kernel", _not_recorded),
    Rule("kernel", _there),
)
