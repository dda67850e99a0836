"""Rules about `network:` of a device: whether somebody can set it, who may, and whether it can be put back. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import on_vfio
from launcher.planner.networks import networked
from launcher.planner.places import in_spec
from launcher.planner.rules.access import who
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.typed import TYPE_CHECKING
from launcher.values import LABELS, NO_MAC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import PciFunction
    from launcher.planner.decided import Situation
    from launcher.planner.networks import Networked

_CAPABILITY = "cap_net_admin"
_LEAVE_OUT = "or leave `network` out, and it stays as it is"

# Their ndo_set_vf_mac refuses a MAC of zeros (is_valid_ether_addr; Linux, drivers/net/ethernet: emulex, broadcom,
# chelsio, cavium, qlogic): once they have given a virtual function a MAC, they cannot give it none again.
TAKE_NO_ZERO = frozenset({"be2net", "bnx2x", "cxgb4", "liquidio", "qede"})


def _nobody_to_tell(it: Situation) -> Iterator[Diagnostic]:
    """It is set by the interface of a physical function, and there is none here."""
    for one in networked(it):
        where = in_spec(f"devices.{one.one.alias}.network")
        if one.physical is None:
            yield _no_virtual_function(one, where)
        elif one.now is None and not on_vfio(one.physical):  # E236 speaks of those
            fact, *ways = _silent(one, one.physical)
            yield Diagnostic("E238", f"{one.one.alias}: {fact}", where, help=(*ways, _LEAVE_OUT))


def _no_virtual_function(one: Networked, where: Where) -> Diagnostic:
    function = one.one.function
    fact = f"{one.one.alias}: {function.address} is no virtual function, so nobody sets its MAC or VLAN for it"
    many = function.sriov.total if function.sriov else len(function.virtual_functions)
    instead = (
        (f"take one of its virtual functions: `{{pci: {function.address}, vf: 0, network: ...}}`",) if many else ()
    )
    return Diagnostic(
        "E238", fact, where, help=(*instead, "leave `network` out: the guest sets them on the card itself")
    )


def _silent(one: Networked, pf: PciFunction) -> tuple[str, str]:
    number = f"virtual function {one.number} of {pf.address}"
    if pf.driver is None:
        return f"{pf.address} has no driver that could set anything of {number}", (
            f"give it to its driver first: `echo {pf.address} > /sys/bus/pci/drivers_probe`"
        )
    if not pf.interfaces:
        fact = f"{pf.address} has no network interface here, which {number} is set by"
        return fact, "an interface that was moved to another network namespace is set there: `ip netns exec`"
    names = ", ".join(each.name for each in pf.interfaces)
    if any(each.functions is None for each in pf.interfaces):
        fact = f"what {names} says of {number} was not read, so it could not be put back"
        again = "record the host again: `vmlaunch devices --json > host.json`"
        return fact, f"{again}; a service asks with `RestrictAddressFamilies=AF_UNIX AF_NETLINK`"
    return f"{names}, on {pf.driver}, says nothing of {number}, and sets nothing", "set it by the card's own tool"


def _cannot_be_put_back(it: Situation) -> Iterator[Diagnostic]:
    """What is not known before is not put back after; and what a driver does not take."""
    for one in networked(it):
        where = in_spec(f"devices.{one.one.alias}.network")
        if one.physical is None or one.interface is None or one.now is None:
            continue
        vf = f"vf {one.number} of {one.interface.name}"
        if one.unknown:
            names = series(LABELS[name] for name in one.unknown)
            says = f"{one.physical.driver} does not say what {names} of {vf} is"
            fact = f"{one.one.alias}: {says}, so it could not be put back"
            keys = series(f"`{name}`" for name in one.unknown)
            yield Diagnostic("E239", fact, where, help=(f"leave {keys} out of `network`",))
        elif "mac" in one.changes and one.now.mac == NO_MAC and one.physical.driver in TAKE_NO_ZERO:
            fact = f"{one.one.alias}: {vf} has no MAC, and {one.physical.driver} cannot take one away again"
            fix = f"ip link set {one.interface.name} vf {one.number} mac {one.wanted.mac}"
            help_ = (f"give it one for good, before `up`: `{fix}`", "or leave `mac` out of `network`")
            yield Diagnostic("E239", fact, where, help=help_, fix=fix)


def _may_not(it: Situation) -> Iterator[Diagnostic]:
    """EPERM: rtnetlink asks for the capability in the user namespace that the interface's network belongs to."""
    process = it.host.process
    if _CAPABILITY in process.capabilities and not process.own_user_namespace:
        return
    for one in networked(it):
        if one.interface is None or not one.changes:
            continue
        what = series(LABELS[name] for name in one.changes)
        fact = f"{one.one.alias}: {who(process)} may not set {what} of vf {one.number} of {one.interface.name}"
        evidence = ("it takes CAP_NET_ADMIN, which `up` would not have",)
        command = f"ip link set {one.interface.name} vf {one.number} {_words(one)}"
        help_ = (f"as root, before `up`: `{command}`", "or run `up` as root", _LEAVE_OUT)
        yield Diagnostic("E246", fact, in_spec(f"devices.{one.one.alias}.network"), evidence, help_, command)


def _words(one: Networked) -> str:
    said = one.wanted.only(one.changes).said()
    return " ".join(f"{_IP.get(name, name)} {_word(value)}" for name, value in said.items())


_IP = {"spoofcheck": "spoofchk"}  # as ip(8) calls it


def _word(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(getattr(value, "id", value))


RULES: tuple[Rule, ...] = (
    Rule("kernel", _nobody_to_tell),
    Rule("policy", _cannot_be_put_back),
    Rule("kernel", _may_not),
)
