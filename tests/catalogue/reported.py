"""The rows whose hosts are those of public reports, or other hardware of the same kind (tests/cases/hosts)."""

from __future__ import annotations

from launcher.host.facts import HostFacts
from launcher.record import replace
from tests.catalogue.row import Row, reported, with_function, with_linux

_START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices:"
_PF = "0000:3b:00.0"
ARC = f"{_START} {{gpu: {{pci: 0000:c3:00.0, companions: attach, allow: [in-use]}}}}\n"
COMPUTE = f"{_START} {{gpu: {{pci: 0000:08:00.0, allow: [in-use]}}}}\n"


def _bound_by_the_plan() -> HostFacts:
    """On its own driver, and with a kernel that takes a framebuffer away when it binds."""
    facts = with_function(reported("arc-framebuffer-of-simplefb")(), "0000:c3:00.0", driver="i915")
    return replace(facts, kernel="6.12.9-arch1-1")


def _held_by_uvm() -> HostFacts:
    facts = reported("l40s-framebuffer-of-nvidia-drm")()
    return with_linux(facts, holders={"nvidia": ("nvidia_uvm",)}, parameters={}, framebuffers=())


def _without_virtual_functions() -> HostFacts:
    facts = reported("connectx-with-functions-in-use")()
    pf = next(one for one in facts.pci if str(one.address) == _PF)
    return replace(facts, pci=(replace(pf, virtual_functions=(), sriov=pf.sriov and replace(pf.sriov, count=0)),))


def _drive(number: int) -> str:
    return f"{_START} {{disk: {{pci: {_PF}, vf: {number}}}}}\n"


WITHOUT_RULE: dict[str, str] = {}
ROWS = (
    Row(
        "bar-claimed-by-sysfb", "E318", reported("arc-framebuffer-of-simplefb"), _bound_by_the_plan, ARC,
        variant="simplefb",
    ),
    Row(
        "driver-busy-unbind-hangs", "E240", reported("l40s-framebuffer-of-nvidia-drm"), _held_by_uvm, COMPUTE,
        variant="fbdev",
    ),
    Row(
        "host-uses-device", "E230", reported("cm7-with-namespaces"), reported("cm7-with-namespaces"),
        _drive(1), _drive(0), variant="namespace",
    ),
    Row(
        "reset-fails-at-runtime", "W265", reported("mi100-and-mi210"), reported("mi100-and-mi210"),
        f"{_START} {{gpu: 0000:65:00.0}}\n", f"{_START} {{gpu: 0000:75:00.0}}\n", variant="accelerator",
    ),
    Row(
        "pf-has-vfs", "E233", reported("connectx-with-functions-in-use"), _without_virtual_functions,
        f"{_START} {{nic: {_PF}}}\n", variant="in-use",
    ),
)  # fmt: skip
