"""The registers of a virtio function, which C answers: their state, and what follows from a write, out."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.native import ffi, lib
from launcher.typed import Any

FOLLOWS = {
    0: "",
    lib.VIRTIO_STARTS: "starts",
    lib.VIRTIO_STOPS: "stops",
    lib.VIRTIO_REWIRED: "rewired",
    lib.VIRTIO_NOTIFIED: "notified",
}


class VirtioRegisters:
    """`offered` are its features, `config` its own configuration. Behind the last queue there is none.

    vCPUs may read and write them at any time; those of their writes from which something follows come back from
    Vcpu.run, and are done here.
    """

    def __init__(self, offered: int, queues: int, config: bytes) -> None:
        self.offered, self.queues = offered, queues
        self.pointer: Any = ffi.new("struct virtio *")
        if lib.virtio_create(self.pointer, offered, queues, config, len(config)):
            raise ValueError(f"{queues} queues, {len(config)} bytes of configuration")

    @property
    def vectors(self) -> int:
        """One for each queue, and the last for a change of the configuration."""
        return self.queues + 1

    def read(self, offset: int, size: int) -> bytes:
        return int(lib.virtio_read(self.pointer, offset, size)).to_bytes(8, "little")[:size]

    def write(self, offset: int, data: bytes) -> str:
        """What follows: starts, stops, rewired, notified, or nothing. Who has stopped the engine ends with `reset`."""
        value = int.from_bytes(data, "little")
        return FOLLOWS[lib.virtio_write(self.pointer, offset, len(data), value, True)]

    def reset(self) -> None:
        """All as at first."""
        lib.virtio_reset(self.pointer)

    def fail(self) -> None:
        """Its driver, if it runs, reads that the device needs a reset."""
        lib.virtio_fail(self.pointer)

    @property
    def features(self) -> int:
        """Those that the driver has chosen."""
        return int(self._state().features)

    @property
    def status(self) -> int:
        return int(self._state().status)

    @property
    def config_vector(self) -> int:
        return int(self._state().config_vector)

    @property
    def started(self) -> bool:
        """There was a DRIVER_OK and no reset since."""
        return bool(self._state().started)

    def vector(self, queue: int) -> int:
        """Of MSI-X; 0xffff: none."""
        return int(self._queue(queue).vector)

    def rings(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Of each queue that is enabled: number, size, places of descriptors, the driver's ring and the device's."""
        for number in range(self.queues):
            queue = self._queue(number)
            if queue.enabled:
                descriptors, driver, device = queue.areas
                yield number, int(queue.size), int(descriptors), int(driver), int(device)

    def _state(self) -> Any:
        state = ffi.new("struct virtio_state *")
        lib.virtio_state(self.pointer, state)
        return state

    def _queue(self, number: int) -> Any:
        queue = ffi.new("struct virtio_queue *")
        if lib.virtio_queue(self.pointer, number, queue):
            raise IndexError(number)
        return queue
