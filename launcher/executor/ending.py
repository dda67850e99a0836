"""Why a vCPU came back, or how a runner died, in; how the VM ended, in the words of the report, out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from os import strerror

from launcher.errors import Diagnostic, LauncherError, StepFailed
from launcher.kernel.api import Event
from launcher.plan.outcome import End
from launcher.plan.step import Step
from launcher.plan.steps import RunVcpus
from launcher.refusals import cause, refusal_of, way_out
from launcher.signals import signal, signal_name
from launcher.typed import Literal
from launcher.vms.words import Ended

EXIT_CODES, FAILED = {"power-off": 0, "reset": 0, "crash": 13}, 11
# KVM_INTERNAL_ERROR_* (include/uapi/linux/kvm.h)
INTERNAL = {
    1: "KVM could not emulate an instruction",
    2: "an exception while another was delivered",
    3: "an exit while an event was delivered",
    4: "an exit KVM did not expect",
}
# A vCPU as it comes out of reset (Intel SDM 3A, table 10-1): what AMD's KVM leaves after a triple fault.
RESET_STATE = {"rip": 0xFFF0, "cr0": 0x60000010}


def describe_event(index: int, event: Event, registers: dict[str, int]) -> Ended:
    """`registers` as KVM gave them after the event; left out when KVM had reset the vCPU by then."""
    if event.kind == "power-off":
        return Ended("power-off", "the guest powered off")
    if event.kind == "reset":
        return Ended("reset", "the guest asked for a reset")
    if all(registers.get(name) == value for name, value in RESET_STATE.items()):
        detail = f"vCPU {index}: {_crash(event)}; KVM had reset the vCPU, so its registers are gone"
        return Ended("crash", detail)
    return Ended("crash", f"vCPU {index}: {_crash(event)}", registers)


def ended_by_itself(how: Literal["power-off", "reset", "crash"], detail: str, registers: dict[str, int]) -> End:
    """How the guest ended, as its runner tells, with the exit code of the VM."""
    return End(how, detail, EXIT_CODES[how], registers)


def _crash(event: Event) -> str:
    words = (*event.data, 0)
    if event.kind == "shutdown":
        return "triple fault"
    if event.kind == "internal-error":
        return f"KVM internal error {words[0]}: {INTERNAL.get(words[0], 'unknown')}"
    if event.kind == "fail-entry":
        return f"the CPU refused to enter the guest: hardware reason {words[0]:#x}"
    if event.kind == "error":
        return f"KVM_RUN failed: {strerror(words[0])}"
    return f"KVM exit {words[0]}, which this machine does not know"


def describe_death(status: int) -> End:
    """Of a runner that said nothing before it died."""
    return End("lost", f"the runner {manner_of_death(status)}", FAILED)


def manner_of_death(status: int) -> str:
    """`status` as os.waitstatus_to_exitcode gives it."""
    if status == -signal.SIGSYS:
        return "made a call of the kernel that it had given up, and was killed by SIGSYS"
    return f"was killed by {signal_name(-status)}" if status < 0 else f"exited with status {status}"


def stopped(by: str) -> End:
    """The guest heard its power button, which `by` has pressed: `SIGTERM`, `down` and the like."""
    return End("stopped", f"the guest powered off: {by}", 0)


def stopped_by_force(by: str, code: int, why: str = "") -> End:
    """`why`: what made force necessary where `by` had not asked for it."""
    return End("killed", "; ".join(filter(None, (f"stopped by force: {by}", why))), code)


def diagnostics_of(step: Step, error: Exception) -> tuple[Diagnostic, ...]:
    """What a step that failed says itself, or else its sentence with the errno and the call."""
    if isinstance(error, LauncherError):
        return error.diagnostics
    refused = error if isinstance(error, OSError) else refusal_of(error)
    why, help_ = (str(error), ()) if refused is None else (cause(refused), way_out(refused))
    return (Diagnostic("E501", f"failed to {step.describe()}: {why}", help=help_),)


def check_confined(step: RunVcpus, measures: Mapping[str, str], who: str = "runner") -> None:
    """`measures` are `on`, or why the kernel refused them."""
    refused = [f"{name} ({why})" for name, why in measures.items() if why != "on"]
    if step.confine == "required" and refused:
        fact = f"the {who} must be confined by all measures, and the kernel refused {', '.join(refused)}"
        help_ = ("`confine: auto` in the spec runs the VM with those that there are",)
        raise StepFailed(Diagnostic("E546", fact, help=help_))
