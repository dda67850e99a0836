"""Rules about the guest's CPUs: how many there are, and which CPUs of the host they are pinned to. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.plan.steps import show_ids
from launcher.planner.needs import KVM_MODULES, planned_topology
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation


def _count(it: Situation) -> Iterator[Diagnostic]:
    """What KVM recommends (KVM_CAP_NR_VCPUS) is the number of online CPUs, so W402 says that, too."""
    host, count = it.host, it.spec.cpus.count
    most = (
        0 if isinstance(host.kvm, Missing) else min(host.kvm.extensions.get("max_vcpus", 0), it.board.layout.most_vcpus)
    )
    allowed, where = len(host.process.cpus), in_spec("cpus.count")
    if most and count > most:
        help_ = (f"give the guest at most {_vcpus(most)}; more than {allowed} share host CPUs (W402)",)
        yield Diagnostic("E406", f"{_vcpus(count)}, and a VM has at most {most} here", where, help=help_)
    elif count > allowed:
        help_ = (f"give the guest at most {_vcpus(allowed)}",)
        cpus = "1 host CPU" if allowed == 1 else f"{allowed} host CPUs"
        yield Diagnostic("W402", f"{count} vCPUs share {cpus}", where, help=help_)


def _ids(it: Situation) -> Iterator[Diagnostic]:
    """Where cores or threads are no power of two, ids in between are nobody's. Too many vCPUs are E406's."""
    cpus, last = it.spec.cpus, it.board.layout.last_vcpu_id
    if cpus.topology is None or cpus.count > it.board.layout.most_vcpus:
        return
    highest = max(it.board.vcpu_ids(planned_topology(cpus)))
    if highest > last:
        help_ = ("make cores and threads powers of two, or the sockets fewer",)
        message = f"the last of {_vcpus(cpus.count)} has the APIC id {highest}, and the last one there is is {last}"
        yield Diagnostic("E441", message, in_spec("cpus.topology"), help=help_)


def _nested(it: Situation) -> Iterator[Diagnostic]:
    """Whoever has not recorded the parameter has not said that it is off."""
    parameters = it.host.linux.parameters
    off = [module for module in KVM_MODULES if parameters.get(f"{module}.nested") in ("N", "0")]
    if it.spec.cpus.nested and off:
        help_ = (f"load the module with it while no VM runs: `modprobe -r {off[0]} && modprobe {off[0]} nested=1`",)
        evidence = (f"/sys/module/{off[0]}/parameters/nested: {parameters[f'{off[0]}.nested']}",)
        fact = f"{off[0]} offers guests no virtualisation of their own"
        yield Diagnostic("E442", fact, in_spec("cpus.nested"), evidence, help_)


def _vcpus(count: int) -> str:
    return f"{count} {'vCPU' if count == 1 else 'vCPUs'}"


def _pins(it: Situation) -> Iterator[Diagnostic]:
    spec, host = it.spec, it.host
    where, pins = in_spec("cpus.pin"), spec.cpus.pin or ()
    online = {cpu.id: cpu.node for cpu in host.cpus}
    if absent := tuple(cpu for cpu in pins if cpu not in online):
        help_ = (f"host CPUs {show_ids(tuple(online))} are online",)
        yield Diagnostic("E407", f"{_cpus(absent)} not online", where, help=help_)
    if denied := tuple(cpu for cpu in pins if cpu in online and cpu not in host.process.cpus):
        help_ = (f"this process may use {show_ids(host.process.cpus)}: see AllowedCPUs= or `taskset -p $$`",)
        yield Diagnostic("E408", f"{_cpus(denied)} not allowed here", where, help=help_)
    nodes = {bank.node for bank in spec.memory}
    if far := tuple(cpu for cpu in pins if cpu in online and None not in nodes and online[cpu] not in nodes):
        memory = show_ids(tuple(sorted(node for node in nodes if node is not None)))
        help_ = (f"pin to CPUs of node {memory}: `lscpu -e` shows them",)
        yield Diagnostic("W403", f"{_cpus(far)} not on node {memory}, where the memory is", where, help=help_)


def _cpus(ids: tuple[int, ...]) -> str:
    return f"host CPU {ids[0]} is" if len(ids) == 1 else f"host CPUs {show_ids(ids)} are"


RULES: tuple[Rule, ...] = (
    Rule("kernel", _count),
    Rule("kernel", _pins),
    Rule("kernel", _ids),
    Rule("kernel", _nested),
)
