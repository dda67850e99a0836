"""Rules about what the host does with a device that the plan takes from it. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import behind_vmd
from launcher.planner.losing import accepted, is_psp, losses, named_uses, names_of, shown_words, soft_uses
from launcher.planner.places import in_spec
from launcher.planner.rules.ending import ending, stopping
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, named, show, sysfs
from launcher.planner.uses import is_hard, runs_from, uses_of
from launcher.planner.waiting import drm_clients, drm_is_likely, drm_is_unread, waiting
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Where
    from launcher.host.facts import Linux, PciFunction, Use
    from launcher.planner.decided import Choice, Situation, Taken

# Parts of the board that lose nothing a file system would, and that the host still misses.
_OF_THE_BOARD = {"0601": "ISA bridge", "0c05": "SMBus controller"}
_BEHIND_THE_BOARD = "sensors, watchdog and GPIO behind it"


def _leaving(it: Situation) -> Iterator[Taken]:
    return (one for one in it.passing.taken if one.leaves_the_host)


def _never_taken(it: Situation) -> Iterator[Diagnostic]:
    """Data is lost if it goes; `allow` does not reach that far."""
    for one in _leaving(it):
        hard = _hard(one, it)
        if hard:
            fact = f"{_subject(one)} holds data that the host uses, so it is not taken: {hard[0].what}"
            other = "take another device" if one.role == "device" else "take a device of another group"
            of_host = () if runs_from(hard) else ending(hard)
            help_ = (*of_host, *_without_a_driver(one, hard, it))
            yield Diagnostic("E230", fact, _where(one), _evidence(hard), (*help_, f"or {other}" if help_ else other))


def _hard(one: Taken, it: Situation) -> list[Use]:
    """Also a path (dm-multipath) that leaves the host none, because the plan takes all of them."""
    return [use for use in _uses(one, it) if is_hard(use) or (use.kind == "path" and _is_last(use, it))]


def _is_last(path: Use, it: Situation) -> bool:
    leaving = {one.function.address for one in _leaving(it)}
    to_it = {one.address for one in it.host.pci for use in one.uses if (use.kind, use.name) == ("path", path.name)}
    return len(to_it) > 1 and to_it <= leaving


def _without_a_driver(one: Taken, hard: list[Use], it: Situation) -> tuple[str, ...]:
    """A virtual function of a drive was taken by the host's driver when it was made. What its physical function leads
    to as well, the guest would reach even so."""
    physical = it.host_functions.get(one.function.physical_function) if one.function.physical_function else None
    if physical is None:
        return ()
    keeping_off = f"`echo 0 > {sysfs(physical)}/sriov_drivers_autoprobe`"
    if set(hard) & set(physical.uses):
        first = (
            f"detach that namespace from the virtual function (`nvme detach-ns`): {physical.address} leads to it too"
        )
        return (f"{first}, and the guest could write to it; then {keeping_off} keeps the host's driver off",)
    return (f"keep the host's driver off virtual functions, before they are made anew: {keeping_off}",)


def _uses(one: Taken, it: Situation) -> tuple[Use, ...]:
    """What is behind a VMD controller goes with it."""
    if one.function.driver != "vmd":
        return one.function.uses
    group = next((group for group in it.passing.groups if group.number == one.function.group), None)
    behind = (member for member in it.members(group) if behind_vmd(member)) if group else ()
    return (*one.function.uses, *(use for member in behind for use in member.uses))


def _taken_with_consent(it: Situation) -> Iterator[Diagnostic]:
    """What the host does with it without data at stake. Where there is data, that has been said, and is enough."""
    for one in _leaving(it):
        soft = _not_accepted(one, it)
        if soft:
            beside = [other for other in _leaving(it) if other.alias == one.alias and _not_accepted(other, it)]
            fact = f"{_subject(one)} is in use by the host: {soft[0].what}"
            what = "it" if len(beside) == 1 else f"all {len(beside)} that are in use"
            help_ = (*ending(soft), f"to take {what} all the same, {_consent(it.choice_of(one), beside, it)}")
            yield Diagnostic("E231", fact, _where(one), _evidence(soft), help_)


def _not_accepted(one: Taken, it: Situation) -> list[Use]:
    device = it.choice_of(one).device
    return [] if _hard(one, it) else [use for use in soft_uses(one.function) if not accepted(use, one.function, device)]


def _consent(choice: Choice, taken: list[Taken], it: Situation) -> str:
    """One list for all that comes with an alias: a key goes into a spec once."""
    words = [word for one in taken for word in names_of(_not_accepted(one, it), one.function)]
    return adding(choice, "allow", shown_words((*choice.device.allow, *words)))


def _lost_with_consent(it: Situation) -> Iterator[Diagnostic]:
    """What was agreed to is still told, by name: uses may have been added since. Without consent E231 says it."""
    slots = {one.address.slot for _, one in it.chosen()}
    for choice in it.passing.choices:
        taken = [one for one in _leaving(it) if one.alias == choice.alias]
        willing = [
            one for one in taken if all(accepted(use, one.function, choice.device) for use in soft_uses(one.function))
        ]
        rows = [(one, what) for one in willing if not is_psp(one.function) for what in _lost(one, slots)]
        if not rows or any(_hard(one, it) for one in taken):
            continue
        lines = tuple(f"{one.function.address}: {what}" for one, what in rows)
        what = f"this while the VM runs: {lines[0]}" if len(lines) == 1 else f"{len(lines)} things while the VM runs"
        yield Diagnostic(
            "W241",
            f"{choice.alias}: the host loses {what}",
            in_spec(f"devices.{choice.alias}"),
            lines if len(lines) > 1 else (),
            tuple(_narrower(choice, [one for one, _ in rows])),
        )


def _lost(one: Taken, slots: set[str]) -> Iterator[str]:
    """Without the processes that its driver waits for: they have to go before."""
    soft = {use.what for use in soft_uses(one.function)}
    others = {use.what for use in one.function.uses} - soft
    return (what for what in losses(one.function, slots) if what not in others)


def _narrower(choice: Choice, taken: list[Taken]) -> Iterator[str]:
    """`in-use` alone is for every use, of today and of later."""
    words = [word for word in choice.device.allow if word != "in-use"]
    named = dict.fromkeys(word for one in taken for word in named_uses(one.function))
    if named and "in-use" in choice.device.allow:
        yield f"{adding(choice, 'allow', shown_words((*words, *named)))} to accept these uses, and no later ones"
    console = any(use.kind in ("console", "display") for one in taken for use in uses_of(one.function))
    yield "it is back after down" + (", but not a console, which stays dark until the host boots again" * console)


def _waits_for_processes(it: Situation) -> Iterator[Diagnostic]:
    """Once begun this unbind cannot be stopped, and killing the processes then does not help."""
    for one in _leaving(it):
        function = one.function
        if waiting(function) is None:
            continue
        processes = [use for use in function.uses if use.kind == "process"]
        if processes:
            count = f"{len(processes)} {'process' if len(processes) == 1 else 'processes'}"
            fact = f"{_subject(one)} is open in {count}, and {function.driver} waits until nobody has it open"
            why = "the unbind would hang and could not be stopped; `allow` does not lift this"
            fix = stopping(processes)
            evidence = (*(use.what for use in processes), why)
            help_ = (f"stop them first: `{fix}`" if fix else "stop them first",)
            yield Diagnostic("E232", fact, _where(one), evidence, help_, fix or None)
        elif not it.host.process.sees_all:
            fact = f"{_subject(one)}: who has it open could not be read (denied: /proc/*/fd)"
            help_ = (f"plan as root: {function.driver} hangs when it is taken from a process",)
            yield Diagnostic("W216", fact, _where(one), help=help_)


def _waits_for_modules(it: Situation) -> Iterator[Diagnostic]:
    """No process has the device open, and still it is in use: by other modules of its driver's."""
    linux = it.host.linux
    for one in _leaving(it):
        wait = waiting(one.function)
        if wait is None or not wait.modules:
            continue
        clients = tuple(drm_clients(linux))
        if clients:
            fact = f"{_subject(one)} is held by nvidia_drm, and {one.function.driver} waits until nobody has it"
            why = "the unbind could hang and could not be stopped; `allow` does not lift this"
            fix = _letting_go(one.function, linux)
            ways = (f"have it let go first: `{fix}`", _without_modes(linux))
            yield Diagnostic("E240", fact, _where(one), (*clients, why), ways, fix)
        elif drm_is_likely(one.function, linux):
            driver = one.function.driver
            fact = f"{_subject(one)} has a screen, so nvidia_drm may hold it, and {driver} would wait for that"
            help_ = (f"have it let go first: `{_letting_go(one.function, linux)}`",)
            yield Diagnostic("W242", fact, _where(one), help=help_)
        elif drm_is_unread(linux):
            fact = f"{_subject(one)}: whether nvidia_drm has it could not be read (nvidia_drm.modeset)"
            help_ = (f"plan as root: {one.function.driver} hangs when it is taken from nvidia_drm",)
            yield Diagnostic("W216", fact, _where(one), help=help_)


def _letting_go(function: PciFunction, linux: Linux) -> str:
    """Consoles first: as long as one draws by it, the module cannot be taken out."""
    consoles = dict.fromkeys(use.name for use in function.uses if use.name.startswith("vtcon"))
    draws = consoles or any(name.startswith("nvidia-drm") for name in linux.framebuffers)
    names = tuple(consoles) or (("vtcon*",) if draws else ())
    off = (f"for c in /sys/class/vtconsole/{name}/bind; do echo 0 > $c; done" for name in names)
    return "; ".join((*off, "modprobe -r nvidia_drm nvidia_modeset"))


def _without_modes(linux: Linux) -> str:
    """What is on the command line is changed there; a file would come after it."""
    for name in ("nvidia_drm.modeset", "nvidia-drm.modeset"):
        if isinstance(linux.cmdline, str) and any(word.startswith(f"{name}=") for word in linux.cmdline.split()):
            return f"or boot the host with `{name}=0` in place of what it has there"
    return "or for good: `echo options nvidia-drm modeset=0 > /etc/modprobe.d/nvidia-drm.conf`, and boot again"


def _part_of_the_board(it: Situation) -> Iterator[Diagnostic]:
    for one in _leaving(it):
        kind = "security processor" if is_psp(one.function) else _OF_THE_BOARD.get(one.function.class_code[:4])
        if kind and one.role != "device" and one.function.driver:
            fact = f"{one.alias}: the host is without its {kind} {one.function.address} while the VM runs"
            evidence = (f"{show(one.function)}, on {one.function.driver}: in the group of {one.alias}",)
            fails = "SEV guests of kvm_amd and the firmware's TPM" if is_psp(one.function) else _BEHIND_THE_BOARD
            help_ = (f"expect {fails} to fail, or take a device of another group",)
            yield Diagnostic("W230", fact, in_spec(f"devices.{one.alias}.companions"), evidence, help_)


def _subject(one: Taken) -> str:
    return f"{one.alias}: {named(one)}"


def _where(one: Taken) -> Where:
    return in_spec(f"devices.{one.alias}.{'pci' if one.role == 'device' else 'companions'}")


def _evidence(uses: list[Use]) -> tuple[str, ...]:
    """The message names the first; more than one are listed."""
    return tuple(use.what for use in uses) if len(uses) > 1 else ()


RULES: tuple[Rule, ...] = (
    Rule("policy", _never_taken),
    Rule("policy", _taken_with_consent),
    Rule("policy", _lost_with_consent),
    Rule("kernel", _waits_for_processes),
    Rule("kernel", _waits_for_modules),
    Rule("policy", _part_of_the_board),
)
