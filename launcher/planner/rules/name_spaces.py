"""A rule about the user name spaces that engines live in: whether this host makes them, and why not. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.host.facts import ENGINES
from launcher.planner.places import in_spec
from launcher.planner.rules.access import who
from launcher.planner.rules.rule import Rule
from launcher.planner.served_by import MADE, apart_from_users
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Serving
    from launcher.planner.decided import Situation

_DISKS, _SHARES, _USER_NETWORK = ENGINES
_BELOW_CHROOT = "run it outside of the chroot, or enter it by pivot_root(2), as `systemd-nspawn -D` does"
# What the kernel answers (user_namespaces(7)): evidence, and ways out.
_ANSWERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "EPERM": (
        "the kernel makes none below chroot(2), nor for who a seccomp filter or a security module keeps from it",
        (_BELOW_CHROOT, "in a systemd service, `RestrictNamespaces=` has to let `user` pass"),
    ),
    "EACCES": (
        "a security module keeps this program from it",
        ("`dmesg` has the line of AppArmor or SELinux that says which rule it was",),
    ),
    "ENOSPC": (
        "as many as may be are there, for this user or for all above it",
        ("as root, in each name space above this one: `sysctl user.max_user_namespaces=15000`",),
    ),
    "EUSERS": ("32 of them are in each other already", ("run it in fewer containers of containers",)),
    "EINVAL": (
        "this kernel was built without them (CONFIG_USER_NS)",
        ("run a kernel that has them: distributions' own do",),
    ),
}
_IN_A_CONTAINER = (
    "a container engine's filter forbids it, unless it is told not to",
    ("with Docker: `--security-opt seccomp=unconfined`, or a profile that lets unshare(2) and clone(2) pass",),
)


def _name_spaces(it: Situation) -> Iterator[Diagnostic]:
    """Once, for the first that wants one: what is wrong with one is wrong with all."""
    serving, wanting = it.host.serving, apart_from_users(it.spec, it.host.process)
    if serving is None or not wanting:
        return
    entry, engine = next(iter(wanting.items()))
    where = in_spec(entry)
    if serving.user_namespaces == 0:
        fix = "sysctl user.max_user_namespaces=15000"
        fact = f"this host allows no user namespace, and {engine} needs one"
        yield Diagnostic("E657", fact, where, ("user.max_user_namespaces is 0",), (f"as root: `{fix}`",), fix)
    elif (setting := serving.unprivileged) is not None and it.host.process.uid != 0 and _is_refused(setting, it):
        fix = f"sysctl {setting}={'0' if 'apparmor' in setting else '1'}"
        fact = f"{who(it.host.process)} may not make a user namespace on this host, and {engine} needs one"
        either = (f"as root: `{fix}`", "or run `up` as root")
        yield Diagnostic("E657", fact, where, (f"{setting} forbids it",), either, fix)
    elif serving.name_space not in (None, MADE):
        fact = f"the kernel makes no user namespace for {who(it.host.process)} here, and {engine} needs one"
        yield Diagnostic("E657", fact, where, *_answered(serving, container=it.host.process.container))


def _is_refused(setting: str, it: Situation) -> bool:
    """Ubuntu's AppArmor has a profile that allows it to passt, which is then asked for no more."""
    return bool(it.spec.shares) or "apparmor" not in setting


def _answered(serving: Serving, *, container: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Evidence and ways out."""
    answer = serving.name_space or ""
    unknown = ("no manual says why", ("see what `unshare --user true` says",))
    why, ways = _IN_A_CONTAINER if container and answer == "EPERM" else _ANSWERS.get(answer, unknown)
    return (f"unshare(2) answers {answer}", why), ways


RULES: tuple[Rule, ...] = (Rule("kernel", _name_spaces),)
