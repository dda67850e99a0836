"""Mediated devices on the fake kernel: BARs that are found when they are open, interrupts that are unmasked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.executor.runner.devices.interrupts import ByHand
from launcher.executor.runner.mediated import bars_of
from launcher.kernel.api import Event
from launcher.kernel.descriptor import Eventfd
from launcher.plan.plan import Plan
from launcher.plan.steps import PassedMdev
from launcher.values import GIB, KIB, MIB, Mdev, PciAddress, Span
from tests.fakes.host import FakeFunction, frame_buffer, region, serial_card
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import COMMAND, DECODE, by_iommufd, config, guest, host_of, passing_plan
from tests.unit.executor.runner.test_runner import Run

SERIAL, DISPLAY = (f"83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}" for n in (1, 2))
PORTS, LOW, HIGH = (Span(0xC100, 0x100),), (Span(0xD000_0000, 256 * MIB),), (Span(64 * GIB, 64 * GIB),)
SERIAL_SLOT, DISPLAY_SLOT = 6 * 8, 7 * 8


def mediated(alias: str, uuid: str, group: int, slot: int, **more: tuple[Span, ...]) -> PassedMdev:
    room = {"ports": PORTS, "low": LOW} | more
    return PassedMdev(alias, Mdev.parse(uuid), group, PciAddress(0, 0, slot // 8, 0), **room)


def plan(folder: Path) -> Plan:
    card, display = mediated("serial", SERIAL, 21, SERIAL_SLOT), mediated("display", DISPLAY, 22, DISPLAY_SLOT)
    return passing_plan(folder, card, display)


def a_kernel(*more: Event, **other: object) -> FakeKernel:
    host = host_of(serial_card(SERIAL, 21), frame_buffer(DISPLAY, 22))
    decode = [config(slot, COMMAND, DECODE) for slot in (SERIAL_SLOT, DISPLAY_SLOT)]
    return FakeKernel(**{"events": guest(decode, more), "host": host} | other)


@pytest.fixture(params=["type1", "iommufd"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    found = plan(tmp_path)
    return by_iommufd(found) if request.param == "iommufd" else found


def test_the_guest_finds_them_beside_pci_devices_and_nothing_is_left(made: Plan) -> None:
    run = Run(made, a_kernel())
    found = {one["alias"]: one for one in run.devices}
    assert [(one["index"], one["guest"], one["served"]) for one in found["serial"]["bars"]] == [
        (0, "0xc100", "trap"),
        (1, "0xc108", "trap"),
    ]
    assert [(one["index"], one["guest"], one["served"]) for one in found["display"]["bars"]] == [
        (0, "0xd0000000", "mmap")
    ]
    assert found["serial"]["host"] == SERIAL
    assert found["serial"]["interrupts"] == "intx"
    assert found["serial"]["state"] == "ports on; not reset"
    assert run.kernel.left() == []
    assert run.fds_after == run.fds_before


def test_a_guest_that_reboots_finds_them_where_they_were(made: Plan) -> None:
    again = (*a_kernel().events[0][:-1], Event("reset"))
    run = Run(made, a_kernel(events=(again,), after_reset=a_kernel().events), reboot=True)
    assert run.all_of("reboot") == [{}]
    assert run.devices == Run(made, a_kernel()).devices
    assert run.kernel.left() == []


def test_one_that_can_be_reset_is_told_to_when_it_is_opened_and_when_it_is_closed(made: Plan) -> None:
    kernel = a_kernel()
    assert Run(made, kernel).devices[-1]["state"] == "memory on"
    assert kernel.host.functions[-1].reset_count == 2
    assert kernel.calls.count("VFIO_DEVICE_RESET") == 2


def test_an_interrupt_is_unmasked_by_hand_where_its_driver_does_not() -> None:
    class Source:
        unmasked = 0

        def unmask_intx(self) -> None:
            self.unmasked += 1
            raise OSError  # the guest has gone over to messages

    ends, source = Eventfd(), Source()
    line = ByHand(ends, source)
    assert line.fd == ends.fd
    assert line.take() is False
    assert source.unmasked == 0
    ends.fire()
    assert line.take() is False
    assert source.unmasked == 1
    ends.close()


def placed(one: PassedMdev, *functions: FakeFunction) -> list[list[tuple[int, str, int | None]]]:
    kernel, taken = FakeKernel(host=host_of(*functions)), {"port": [], "memory": []}
    devices = [kernel_device(kernel, function) for function in functions]
    found = [bars_of(one, device, bytes(device.function.config.ljust(256, b"\0")), taken) for device in devices]
    return [[(bar.index, bar.kind, bar.guest) for bar in bars] for bars in found]


def kernel_device(kernel: FakeKernel, function: FakeFunction) -> object:
    spaces = kernel.address_spaces()
    spaces.open_group(function.group)
    spaces.join(function.group)
    return spaces.open_device(function.group, function.address)


def test_a_large_bar_goes_above_all_else_and_the_others_follow_each_other() -> None:
    one = mediated("gpu", SERIAL, 21, SERIAL_SLOT, high=HIGH)
    gpu = frame_buffer(SERIAL, 21, regions={0: region(0, 16 * KIB), 1: region(1, GIB), 3: region(3, 4 * MIB)})
    gpu.config[0x10], gpu.config[0x14], gpu.config[0x1C] = 0, 0x0C, 0x04
    other = frame_buffer(DISPLAY, 22)
    assert placed(one, gpu, other) == [
        [(0, "mem32", 0xD040_0000), (1, "mem64", 64 * GIB), (3, "mem64", 0xD000_0000)],
        [(0, "mem32", 0xD060_0000)],
    ]


def test_a_bar_without_a_place_is_left_to_the_guest() -> None:
    one = mediated("gpu", SERIAL, 21, SERIAL_SLOT)
    gpu = frame_buffer(SERIAL, 21, regions={1: region(1, GIB), 5: region(5, 4 * MIB)})
    gpu.config[0x14], gpu.config[0x24] = 0x0C, 0x04  # the last BAR has no upper half
    assert placed(one, gpu) == [[(1, "mem64", None), (5, "mem32", 0xD000_0000)]]
