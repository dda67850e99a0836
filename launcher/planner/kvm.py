"""What KVM, the CPUs and the process must be able to do. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.machine.x86.layout import MOST_VCPUS
from launcher.plan.steps import show_ids
from launcher.planner.no_kvm import no_kvm
from launcher.planner.places import field
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts
    from launcher.spec.model import VmSpec

API_VERSION = 12  # KVM_API_VERSION; it will not change again (Documentation/virt/kvm/api.rst, 4.1)

# Without any of these no VM of ours starts; the newest came with Linux 4.12.
NEEDED = (
    "user_memory", "irqchip", "pit2", "set_tss_addr", "set_identity_map_addr", "irqfd", "irq_routing",
    "ext_cpuid", "immediate_exit",
)  # fmt: skip


def check_kvm(host: HostFacts) -> Iterator[Diagnostic]:
    if host.architecture != "x86_64":
        elsewhere = ("plan for an x86_64 host: `vmlaunch plan SPEC --host FACTS`",)
        yield Diagnostic("E405", f"this host is {host.architecture}; vmlaunch runs on x86_64", help=elsewhere)
    if isinstance(host.kvm, Missing):
        yield no_kvm(host, host.kvm)
        return
    lacking = [name for name in NEEDED if not host.kvm.extensions.get(name)]
    if host.kvm.api_version != API_VERSION:
        fact = f"KVM speaks API version {host.kvm.api_version}, not {API_VERSION}"
        yield Diagnostic("E404", fact, help=("run Linux 4.12 or later on the host",))
    elif lacking:
        names = ", ".join(f"KVM_CAP_{name.upper()}" for name in lacking)
        yield Diagnostic("E404", f"KVM lacks {names}", help=("run Linux 4.12 or later on the host",))


def check_state_folder(host: HostFacts) -> Iterator[Diagnostic]:
    if host.process.state_folder is None:
        help_ = ("log in through PAM, or set XDG_RUNTIME_DIR to a folder of yours",)
        yield Diagnostic("E424", "there is no place for the VM's state: XDG_RUNTIME_DIR is not set", help=help_)


def check_cpus(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    yield from _check_count(spec.cpus.count, host)
    yield from _check_pins(spec, host)


def _check_count(count: int, host: HostFacts) -> Iterator[Diagnostic]:
    """What KVM recommends (KVM_CAP_NR_VCPUS) is the number of online CPUs, so W402 says that, too."""
    most = 0 if isinstance(host.kvm, Missing) else min(host.kvm.extensions.get("max_vcpus", 0), MOST_VCPUS)
    allowed, where = len(host.process.cpus), field("cpus.count")
    if most and count > most:
        help_ = (f"give the guest at most {_vcpus(most)}; more than {allowed} share host CPUs (W402)",)
        yield Diagnostic("E406", f"{_vcpus(count)}, and a VM has at most {most} here", where, help=help_)
    elif count > allowed:
        help_ = (f"give the guest at most {_vcpus(allowed)}",)
        cpus = "1 host CPU" if allowed == 1 else f"{allowed} host CPUs"
        yield Diagnostic("W402", f"{count} vCPUs share {cpus}", where, help=help_)


def _vcpus(count: int) -> str:
    return f"{count} {'vCPU' if count == 1 else 'vCPUs'}"


def _check_pins(spec: VmSpec, host: HostFacts) -> Iterator[Diagnostic]:
    where, pins = field("cpus.pin"), spec.cpus.pin or ()
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
