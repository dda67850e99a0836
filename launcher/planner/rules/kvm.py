"""Rules about KVM itself: that it is there, that it answers, and that it can do what every VM needs. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.needs import KVM_EXTENSIONS
from launcher.planner.rules.no_kvm import no_kvm
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts
    from launcher.planner.decided import Situation

API_VERSION = 12  # KVM_API_VERSION; it will not change again (Documentation/virt/kvm/api.rst, 4.1)


def check_kvm(host: HostFacts) -> Iterator[Diagnostic]:
    if host.architecture != "x86_64":
        elsewhere = ("plan for an x86_64 host: `vmlaunch plan SPEC --host FACTS`",)
        yield Diagnostic("E405", f"this host is {host.architecture}; vmlaunch runs on x86_64", help=elsewhere)
    if isinstance(host.kvm, Missing):
        yield no_kvm(host, host.kvm)
        return
    lacking = [name for name in KVM_EXTENSIONS if not host.kvm.extensions.get(name)]
    if host.kvm.api_version != API_VERSION:
        fact = f"KVM speaks API version {host.kvm.api_version}, not {API_VERSION}"
        yield Diagnostic("E404", fact, help=("run Linux 4.12 or later on the host",))
    elif lacking:
        names = ", ".join(f"KVM_CAP_{name.upper()}" for name in lacking)
        yield Diagnostic("E404", f"KVM lacks {names}", help=("run Linux 4.12 or later on the host",))


def _kvm(it: Situation) -> Iterator[Diagnostic]:
    return check_kvm(it.host)


RULES: tuple[Rule, ...] = (Rule("kernel", _kvm),)
