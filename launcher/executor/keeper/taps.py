"""A step that brings a NIC a tap, or a disk or NIC somebody's socket, in; the runner's end of it out."""

from __future__ import annotations

import errno
from contextlib import closing

from launcher.codec import DecodeError, decode, written
from launcher.errors import Diagnostic, StepFailed
from launcher.executor.keeper import engine_sockets
from launcher.executor.keeper.engines import close_end
from launcher.kernel import tap
from launcher.kernel.api import Kernel
from launcher.plan.virtio import ConnectEngine, MakeTap, OpenTap
from launcher.refusals import cause
from launcher.shell import quote
from launcher.typed import Any

PERMISSION = "root, or CAP_NET_ADMIN, makes taps; an ordinary user opens one that was made for him: `ip tuntap add`"
MADE = {
    errno.EBUSY: "an interface of this name is there: `ip -d link show` says whose it is",
    errno.ENODEV: "`ip -d link show type bridge` lists bridges",
    errno.EPERM: PERMISSION,
    errno.EACCES: PERMISSION,
    errno.ENOENT: "`modprobe tun` makes /dev/net/tun",
}
OPENED = {
    errno.EBUSY: "another process has it open: a tap has one VM",
    errno.ENODEV: "`ip tuntap add NAME mode tap user USER vnet_hdr` makes one",
    errno.EPERM: "it was made for another user: `ip tuntap add NAME mode tap user USER vnet_hdr` says for whom",
    errno.EINVAL: "it is another kind of interface, or a tap for several queues: `ip -d link show NAME`",
    errno.ENOENT: "`modprobe tun` makes /dev/net/tun",
}


def memory_of(step: MakeTap) -> dict[str, Any]:
    return written(step)


def read_memory(memory: dict[str, Any]) -> MakeTap:
    try:
        return decode(MakeTap, memory)
    except DecodeError as error:
        raise OSError(errno.EINVAL, f"the journal's entry is not one of ours: {error}") from None


def make(step: MakeTap, kernel: Kernel) -> None:
    """StepFailed: there is none to be had, or it cannot join the bridge."""
    try:
        kernel.ends[step.alias] = kernel.make_tap(step.tap, step.bridge, step.mtu)
    except OSError as error:
        joins = error.filename in ("RTM_SETLINK", step.bridge)
        help_ = (MADE[error.errno],) if error.errno in MADE else ()
        raise StepFailed(
            Diagnostic("E565" if joins else "E564", f"failed to {step.describe()}: {cause(error)}", help=help_)
        ) from None


def attach(step: OpenTap, kernel: Kernel) -> None:
    try:
        kernel.ends[step.alias] = kernel.open_tap(step.tap)
    except OSError as error:
        help_ = (OPENED[error.errno].replace("NAME", step.tap),) if error.errno in OPENED else ()
        raise StepFailed(Diagnostic("E564", f"failed to {step.describe()}: {cause(error)}", help=help_)) from None


def connect(step: ConnectEngine, kernel: Kernel) -> None:
    """An engine of somebody else's has answered. StepFailed."""
    try:
        with closing(engine_sockets.connect(step.socket, step.identity)) as end:
            engine_sockets.await_answer(end, kernel.waits, f"the engine at {step.socket}")
            engine_sockets.keep(kernel.ends, step.alias, end)
    except OSError as error:
        fact = f"failed to {step.describe()}: {error.strerror or error}"
        if error.errno == errno.ESTALE:
            raise StepFailed(
                Diagnostic("E563", fact, help=("plan again: who listens there was not looked at",))
            ) from None
        help_ = ("it has to listen there, speak vhost-user, and have no other client",)
        raise StepFailed(Diagnostic("E566", fact, help=help_)) from None


def remove(step: MakeTap, kernel: Kernel) -> str:
    """It goes with its last descriptor, which was ours or our runner's. OSError EBUSY: a process has one still."""
    close_end(step.alias, kernel)
    if not has_gone(step):
        raise OSError(errno.EBUSY, f"{step.tap} is there still: a process has it open")
    return ""


def has_gone(step: MakeTap) -> bool:
    return not tap.is_there(step.tap)


def describe(step: MakeTap) -> str:
    return f"remove {step.tap} from {step.bridge}"


def commands(step: MakeTap) -> str:
    return f"ip link delete {quote(step.tap)}"
