"""Rules about what a guest's NIC is joined to: bridges, taps, the kernel's parts, rights, and MACs. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.places import in_spec
from launcher.planner.rules.access import who
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.planner.virtio import derived_mac
from launcher.shell import quote
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Link, OtherVm, Process
    from launcher.planner.decided import Situation
    from launcher.spec.parts import Nic

_ADMIN = "cap_net_admin"
_KINDS = {"tun": "a tun, which has packets and no frames", "tap": "a tap", "bridge": "a bridge"}
_MOST = 6  # names that are shown where one is not there


def _links(it: Situation) -> dict[str, Link]:
    return {one.name: one for one in it.host.serving.links} if it.host.serving else {}


def _vms(it: Situation) -> tuple[OtherVm, ...]:
    return it.host.serving.vms if it.host.serving else ()


def _administers(process: Process) -> bool:
    return _ADMIN in process.capabilities and not process.own_user_namespace


def _of_another(it: Situation) -> Iterator[Diagnostic]:
    """What /sys shows is then neither there to be joined, nor all that is."""
    first = next(((alias, "bridge" if nic.bridge else "tap") for alias, nic in _joined(it)), None)
    if first is None or it.host.serving is None or not it.host.serving.links_of_another:
        return
    fact = f"{first[0]}: /sys shows the network interfaces of another network namespace than this one"
    evidence = ("/sys/class/net and /proc/net/dev have other names: /sys was mounted in another namespace",)
    help_ = (
        "enter the namespace by `ip netns exec NAME`, which mounts a /sys of its own",
        "or, behind `unshare --net --mount`: `mount -t sysfs sysfs /sys`",
    )
    yield Diagnostic("E634", fact, in_spec(f"nics.{first[0]}.{first[1]}"), evidence, help_)


def _joined(it: Situation) -> Iterator[tuple[str, Nic]]:
    return ((alias, nic) for alias, nic in it.spec.nics.items() if nic.bridge is not None or nic.tap is not None)


def _bridges(it: Situation) -> Iterator[Diagnostic]:
    links = _links(it)
    for alias, nic in it.spec.nics.items():
        if nic.bridge is None or it.host.serving is None or it.host.serving.links_of_another:
            continue
        where, found = in_spec(f"nics.{alias}.bridge"), links.get(nic.bridge)
        if found is None:
            names = [one.name for one in links.values() if one.kind == "bridge"][:_MOST]
            evidence = (f"bridges here: {series(names)}",) if names else ("this host has no bridge",)
            fix = f"ip link add {quote(nic.bridge)} type bridge && ip link set {quote(nic.bridge)} up"
            help_ = (f"make it: `{fix}`", "then join the host's card to it, or route")
            yield Diagnostic("E635", f"{alias}: there is no interface {nic.bridge}", where, evidence, help_, fix)
        elif found.kind != "bridge":
            is_ = _KINDS.get(found.kind, "a network interface")
            yield Diagnostic("E636", f"{alias}: {nic.bridge} is {is_}, and no bridge", where, help=_to_bridge(found))
        elif not found.up:
            fix = f"ip link set {quote(nic.bridge)} up"
            fact = f"{alias}: the bridge {nic.bridge} is down, and forwards nothing"
            yield Diagnostic("W636", fact, where, help=(f"`{fix}`",), fix=fix)
        elif found.no_vlan:
            yield _in_no_vlan(alias, nic.bridge, it.host.process)


def _in_no_vlan(alias: str, bridge: str, process: Process) -> Diagnostic:
    fact = f"{alias}: the bridge {bridge} filters VLANs, and puts a new port in none"
    evidence = ("vlan_filtering is 1 and vlan_default_pvid 0: what the guest sends is dropped there",)
    making = f"ip tuntap add dev vmtap0 mode tap user {process.uid} && ip link set vmtap0 master {quote(bridge)} up"
    help_ = (
        f"have a tap of your own in a VLAN: `{making} && bridge vlan add dev vmtap0 vid 10 pvid untagged`",
        f"and in the spec `{alias}: {{tap: vmtap0}}`",
        f"or give new ports one: `ip link set {quote(bridge)} type bridge vlan_default_pvid 1`",
    )
    return Diagnostic("W635", fact, in_spec(f"nics.{alias}.bridge"), evidence, help_)


def _to_bridge(found: Link) -> tuple[str, ...]:
    """From something else that was named in place of one."""
    if found.master:
        return (f"write `bridge: {found.master}`, which it is a port of",)
    if found.kind == "tap":
        return ("name a bridge", "or write `tap:` for it")
    if found.kind == "other" and found.name != "lo":
        making = f"ip link add br0 type bridge && ip link set br0 up && ip link set {quote(found.name)} master br0"
        cut = "the host's addresses then belong on br0, and without them there the host is cut off"
        return ("name a bridge", f"or make it a port of one: `{making}`; {cut}")
    return ("name a bridge",)


def _mtus(it: Situation) -> Iterator[Diagnostic]:
    """A bridge whose own MTU nobody has set takes the least of its ports (br_mtu_auto_adjust, net/bridge/br_if.c)."""
    links = _links(it)
    for alias, nic in it.spec.nics.items():
        bridge = links.get(nic.bridge or "")
        if nic.mtu is None or bridge is None or bridge.mtu is None or nic.mtu == bridge.mtu:
            continue
        fact = f"{alias}: its MTU is {nic.mtu}, and that of the bridge {bridge.name} {bridge.mtu}"
        larger = f"what is larger than {bridge.mtu} bytes does not get through the bridge"
        smaller = f"the bridge's own becomes {nic.mtu} while the VM runs, unless an administrator has set it"
        help_ = (larger if nic.mtu > bridge.mtu else smaller, f"leave `mtu` out, and it is {bridge.mtu}")
        yield Diagnostic("W659", fact, in_spec(f"nics.{alias}.mtu"), help=help_)


def _taps(it: Situation) -> Iterator[Diagnostic]:
    links = _links(it)
    for alias, nic in it.spec.nics.items():
        if nic.tap is None or it.host.serving is None or it.host.serving.links_of_another:
            continue
        found = links.get(nic.tap)
        if found is None:
            yield _no_tap(alias, nic.tap, it.host.process)
        else:
            yield from _tap(alias, found, it)


def _no_tap(alias: str, tap: str, process: Process) -> Diagnostic:
    fix = f"ip tuntap add dev {quote(tap)} mode tap user {process.uid} && ip link set {quote(tap)} up"
    help_ = (f"as root: `{fix}`", f"then join it to a bridge: `ip link set {quote(tap)} master br0`")
    return Diagnostic("E637", f"{alias}: there is no tap {tap}", in_spec(f"nics.{alias}.tap"), (), help_, fix)


def _tap(alias: str, tap: Link, it: Situation) -> Iterator[Diagnostic]:
    where = in_spec(f"nics.{alias}.tap")
    if tap.kind != "tap":
        is_ = _KINDS.get(tap.kind, "a network interface")
        ways = ("or write `bridge:` for it",) if tap.kind == "bridge" else ()
        ports = ("or a bridge that it is a port of: `bridge: br0`",) if tap.kind == "other" and tap.name != "lo" else ()
        yield Diagnostic("E638", f"{alias}: {tap.name} is {is_}, and no tap", where, help=("name a tap", *ways, *ports))
        return
    again = f"make it anew: `ip tuntap del dev {quote(tap.name)} mode tap`, then `ip tuntap add` it"
    if tap.multi_queue:
        fact = f"{alias}: the tap {tap.name} has several queues, and a NIC has one pair"
        evidence = ("the kernel opens such a tap only for who asks for several (IFF_MULTI_QUEUE)",)
        way = f"{again.replace('mode tap`,', 'mode tap multi_queue`,')} without `multi_queue`, and `{_set_up(tap)}`"
        yield Diagnostic("E638", fact, where, evidence, (way,))
    if tap.attached and it.spec.name not in (vms := [vm.name for vm in _vms(it) if tap.name in vm.taps]):
        yield _attached(alias, tap, vms)
    if not _is_ours(tap, it.host.process):
        yield _not_ours(alias, tap, it.host.process)
    if not tap.up:
        fix = f"ip link set {quote(tap.name)} up"
        fact = f"{alias}: the tap {tap.name} is down, and passes nothing on"
        yield Diagnostic("W639", fact, where, help=(f"`{fix}`",), fix=fix)


def _attached(alias: str, tap: Link, vms: list[str]) -> Diagnostic:
    processes = [f"{one.command} (pid {one.pid})" for one in tap.holders]
    by = f"the VM {vms[0]}" if vms else series(processes) if processes else "another process"
    have = "have" if len(processes) > 1 and not vms else "has"
    way = f"stop it: `vmlaunch down {vms[0]}`" if vms else "stop it, or name a tap of its own for this NIC"
    search = () if vms or processes else (f"as root, `grep -l {quote(tap.name)} /proc/*/fdinfo/*` says which",)
    return Diagnostic(
        "E639", f"{alias}: {by} {have} the tap {tap.name} open", in_spec(f"nics.{alias}.tap"), help=(*search, way)
    )


def _is_ours(tap: Link, process: Process) -> bool:
    """tun_not_capable (drivers/net/tun.c): an owner and a group that are set have both to fit; without any all may."""
    by_owner = tap.owner is None or tap.owner == process.uid
    by_group = tap.group is None or tap.group in (process.gid, *process.groups)
    return _administers(process) or (by_owner and by_group)


def _not_ours(alias: str, tap: Link, process: Process) -> Diagnostic:
    fact = f"{alias}: {who(process)} may not open the tap {tap.name}"
    names = {"uid": tap.owner, "gid": tap.group}
    evidence = (f"it was made for {series(f'{key} {value}' for key, value in names.items() if value is not None)}",)
    name = quote(tap.name)
    again = f"ip tuntap add dev {name} mode tap user {process.uid} && {_set_up(tap)}"
    fix = f"ip tuntap del dev {name} mode tap && {again}"
    addresses = (
        () if tap.master else (f"addresses that it had are to be given to it again: `ip addr add ... dev {name}`",)
    )
    return Diagnostic("E640", fact, in_spec(f"nics.{alias}.tap"), evidence, (f"as root: `{fix}`", *addresses), fix)


def _set_up(tap: Link) -> str:
    """A tap that is made anew is down, and in no bridge."""
    master = f"master {quote(tap.master)} " if tap.master else ""
    return f"ip link set {quote(tap.name)} {master}up"


def _rights(it: Situation) -> Iterator[Diagnostic]:
    """To make a tap, and to make it a port, takes the administrator of the host's network."""
    if _administers(it.host.process):
        return
    for alias, nic in it.spec.nics.items():
        if nic.bridge is not None:
            fact = f"{alias}: {who(it.host.process)} may not join a tap to {nic.bridge}"
            tap, uid = "vmtap0", it.host.process.uid
            making = f"ip tuntap add dev {tap} mode tap user {uid} && ip link set {tap} master {quote(nic.bridge)} up"
            help_ = (
                f"as root, once: `{making}`, and in the spec `{alias}: {{tap: {tap}}}`",
                f"or write `{alias}: user`, a network that needs no rights",
                "or run `up` as root",
            )
            evidence = ("it takes CAP_NET_ADMIN, which `up` would not have",)
            yield Diagnostic("E644", fact, in_spec(f"nics.{alias}.bridge"), evidence, help_)


def _macs(it: Situation) -> Iterator[Diagnostic]:
    """Two cards of one network with one address: each gets what is meant for the other, or nobody does."""
    vms = [vm for vm in _vms(it) if vm.name != it.spec.name]
    for alias, mac in macs_of(it).items():
        for vm in vms:
            if mac in vm.macs:
                fact = f"{alias}: the MAC {mac} is that of a NIC of the VM {vm.name}, which is up"
                help_ = ("write another one, or leave `mac` out", f"or stop that VM: `vmlaunch down {vm.name}`")
                yield Diagnostic("E646", fact, in_spec(f"nics.{alias}"), help=help_)
        yield from _of_the_host(alias, mac, it)


def macs_of(it: Situation) -> dict[str, str]:
    """Of the NICs of the spec, also where it leaves them to us."""
    return {alias: nic.mac or derived_mac(it.spec.name, alias) for alias, nic in it.spec.nics.items()}


def _of_the_host(alias: str, mac: str, it: Situation) -> Iterator[Diagnostic]:
    """A bridge keeps what is for its own address, or for that of a port, to the host."""
    links, bridge = _links(it), it.spec.nics[alias].bridge
    on = (bridge, *links[bridge].ports) if bridge in links and bridge is not None else ()
    for name in on:
        if name in links and links[name].mac == mac:
            fact = f"{alias}: the MAC {mac} is that of {name} on this host, which keeps what is sent there"
            yield Diagnostic("E647", fact, in_spec(f"nics.{alias}"), help=("leave `mac` out, or write another one",))


RULES: tuple[Rule, ...] = (
    Rule("kernel", _of_another),
    Rule("kernel", _bridges),
    Rule("policy", _mtus),
    Rule("kernel", _taps),
    Rule("kernel", _rights),
    Rule("policy", _macs),
)
