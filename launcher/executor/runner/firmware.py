"""A LoadFirmware step in; the firmware's code and its variables in the guest's sight, and who answers to it, out.

A confined runner opens nothing: code and variables stay for all lives, as does the memory that they are in.
"""

from __future__ import annotations

import errno
import time
from functools import partial
from itertools import chain

from launcher.errors import Diagnostic, Refused
from launcher.executor.runner.devices.placing import AddressMap
from launcher.executor.runner.live import Built, Described, Live, Ram, Started
from launcher.executor.runner.reading import open_regular, read_file
from launcher.kernel.api import HostMemory, Trap, Vm
from launcher.machine.board import Told
from launcher.plan.firmware import LoadFirmware
from launcher.plan.steps import DescribeMachine
from launcher.record import record
from launcher.values import Span
from launcher.vms.way import read_whole


@record
class Kept:
    """For all lives: the code, and what the guest has made of its variables. `file`: what keeps them; -1: nobody."""

    code: HostMemory
    variables: HostMemory | None
    file: int


def load_firmware(step: LoadFirmware, live: Live) -> None:
    image = bytes(read_file(step.path, step.sha256, live))
    if len(image) != step.size:
        message = f"{step.path} has {len(image)} bytes, and the plan has {step.size} for it"
        raise Refused(Diagnostic("E509", message, help=("plan again",)))
    kept = live.find(Kept)
    if kept is None:
        kept = Kept(_memory(image, live), *_variables(step, live))
        live.make(kept)
    platform, built, layout = live.board.platform(), live.the(Built), live.board.layout
    for patch in platform.shadow(step.kind, image):
        live.the(Ram).write(patch.guest, patch.data)
    _show(kept.code, step.guest, live)
    traps = [Trap(layout.ecam.start, layout.ecam.size, "ecam")]
    if kept.variables is not None:
        guest = step.guest - kept.variables.size
        slot = _show(kept.variables, guest, live)
        built.machine.set_flash(slot, guest, kept.variables, kept.file)
        traps.append(Trap(guest, kept.variables.size, "flash"))
    built.bus.traps.become("memory", traps)
    built.bus.traps.become("port", [Trap(span.start, span.size, device) for span, device in platform.PORTS])
    for function, config in platform.FUNCTIONS.items():
        built.machine.set_function(function, config)
    live.make(Started(step))


def describe(step: DescribeMachine, live: Live) -> None:
    """It asks for its tables itself."""
    firmware, built, ram = live.the(Started).step, live.the(Built), live.the(Ram)
    told = Told(
        firmware.kind,
        step.processors,
        step.window,
        tuple(Span(one.guest, one.size) for one in ram.ranges),
        step.reserved,
        firmware.order,
        bars=lambda: tuple(chain.from_iterable(one.spans() for one in built.bus.functions)),
        now=time.gmtime,
        name=step.name,
        uuid=step.uuid,
    )
    for model in live.board.platform().models(told, built.machine.add_fw_cfg(ram.parts())):
        built.bus.answer(model)
    live.make(Described(step, live.board.vcpu_ids(step.processors)))


def _variables(step: LoadFirmware, live: Live) -> tuple[HostMemory | None, int]:
    if not step.variables:
        return None, -1
    file, path = live.kernel.variables(), "the file of the firmware's variables"
    if file < 0:
        path, template = step.template, live.once(step.template, partial(open_regular, step.template))
    content = read_whole(template if file < 0 else file, step.variables + 1)
    if len(content) != step.variables:
        message = f"{path} has another size than when the plan was made"
        raise Refused(Diagnostic("E509", message, help=("plan again, or put the file back",)))
    return _memory(content, live), file


def _memory(content: bytes, live: Live) -> HostMemory:
    memory = live.kernel.take_memory(len(content), 0, None)
    live.undo.push(live.step, memory.close, stays=True)
    memory.write(0, content)
    return memory


def _show(memory: HostMemory, guest: int, live: Live) -> int:
    slot = live.the(AddressMap).memslots.take()
    if slot is None:
        raise OSError(errno.ENOSPC, "KVM has no memslot left", "KVM_SET_USER_MEMORY_REGION")
    vm = live.the(Built).vm
    vm.set_memory_region(slot, guest, memory, 0, memory.size, readonly=True)
    live.on_undo(partial(_take_away, vm, slot))
    return slot


def _take_away(vm: Vm, slot: int) -> None:
    try:
        vm.delete_memory_region(slot)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the guest's last command to its flash has done so
            raise
