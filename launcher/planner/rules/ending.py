"""What the host does with a device in, the words and commands that end it out. Pure."""

from __future__ import annotations

from launcher.shell import quote
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import Use, UseKind

# The processes that have a service of their own, by comm (15 characters). Of the others their cgroup says which.
_SERVICES = {
    "nvidia-persiste": "nvidia-persistenced",
    "nvidia-powerd": "nvidia-powerd",
    "nv-fabricmanage": "nvidia-fabricmanager",
    "nv-hostengine": "nvidia-dcgm",
    "Xorg": "display-manager",
    "Xwayland": "display-manager",
    "gnome-shell": "display-manager",
    "kwin_wayland": "display-manager",
}


# Services that a socket starts again.
_STARTED_BY = {
    "pipewire.service": ("pipewire.socket",),
    "pipewire-pulse.service": ("pipewire-pulse.socket",),
    "pulseaudio.service": ("pulseaudio.socket",),
}


def ending(uses: Sequence[Use]) -> tuple[str, ...]:
    """A sentence for each kind of use, in the order in which they are met; with its command where there is one."""
    kinds = dict.fromkeys(use.kind for use in uses)
    return tuple(_way(kind, [use for use in uses if use.kind == kind]) for kind in kinds)


def stopping(uses: Sequence[Use]) -> str:
    """The command that ends the processes among them: services are stopped, the rest is asked to go.

    A service whose process is killed is started again by systemd.
    """
    by_owner: dict[str, dict[str, None]] = {}
    pids: dict[str, None] = {}
    for use in (use for use in uses if use.kind == "process"):
        owner, _, unit = (_SERVICES.get(use.name) or use.unit or "").rpartition(":")
        if unit:
            by_owner.setdefault(owner, {}).update(dict.fromkeys((*_STARTED_BY.get(unit, ()), unit)))
        elif use.pid is not None:
            pids[str(use.pid)] = None
    stops = (f"systemctl{_manager(owner)} stop {' '.join(map(quote, names))}" for owner, names in by_owner.items())
    return "; ".join((*stops, *([f"kill {' '.join(pids)}"] if pids else ())))


def _manager(owner: str) -> str:
    """That of a user is reached as he would, by his uid."""
    return f" --user -M {owner}@.host" if owner else ""


def _way(kind: UseKind, uses: Sequence[Use]) -> str:
    words, command = _WAYS[kind]
    named = dict.fromkeys(use.name for use in uses if use.name)
    commands = stopping(uses) if kind == "process" else "; ".join(command.format(quote(name)) for name in named)
    return f"{words}: `{commands}`" if commands else words


# What to do, and the command for each name.
_WAYS: dict[UseKind, tuple[str, str]] = {
    "mounted": ("unmount it first", "umount {}"),
    "swap": ("stop swapping to it first", "swapoff {}"),
    "holder": ("take apart what is built on it first; this shows it", "lsblk -s /dev/{}"),
    "member": ("take it out of its pool or array first; this shows which", "lsblk -f {}"),
    "path": (
        "let the storage show the disk no longer on this path: the guest could write to it beside the host; this shows "
        "the others",
        "multipath -ll {}",
    ),
    "route": ("give the host another way to its network first; this shows the routes", "ip route show dev {}"),
    "interface": ("take the interface down first", "ip link set {} down"),
    "master": ("take it out of its bridge or bond first", "ip link set {} nomaster"),
    "display": ("stop what draws on it first: `systemctl stop display-manager`", ""),
    "console": ("have ssh or a serial console at hand first: this display stays dark until the next boot", ""),
    "input": ("plug the keyboard and the mouse into another controller", ""),
    "process": ("stop what has it open", ""),
}
