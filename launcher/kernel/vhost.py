"""vhost: queues of virtio devices that the kernel works on (linux/vhost.h), and the tap behind one."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.kernel.api import MemoryPart, RingPlace
from launcher.kernel.call import ioctl
from launcher.kernel.descriptor import Descriptor
from launcher.native import ffi, lib


class Vhost(Descriptor):
    """/dev/vhost-net or /dev/vhost-vsock. Its memory is that of the process which is the owner."""

    def set_owner(self) -> None:
        ioctl(self.fd, "VHOST_SET_OWNER")

    def features(self) -> int:
        found = ffi.new("uint64_t *")
        ioctl(self.fd, "VHOST_GET_FEATURES", found)
        return int(found[0])

    def set_features(self, features: int) -> None:
        """EOPNOTSUPP: one that it does not have."""
        ioctl(self.fd, "VHOST_SET_FEATURES", ffi.new("uint64_t *", features))

    def set_memory(self, parts: Sequence[MemoryPart]) -> None:
        """All guest memory: what is not in it no queue can name."""
        table = ffi.new("struct vhost_memory *", {"regions": len(parts)})
        table.nregions = len(parts)
        for region, part in zip(table.regions, parts, strict=True):
            region.guest_phys_addr, region.memory_size, region.userspace_addr = part.guest, part.size, part.address
        ioctl(self.fd, "VHOST_SET_MEM_TABLE", table)

    def set_ring(self, ring: RingPlace) -> None:
        """Its size, that it begins at its beginning, and where it is. EFAULT: not in the memory that was set."""
        self._state("VHOST_SET_VRING_NUM", ring.number, ring.size)
        self._state("VHOST_SET_VRING_BASE", ring.number, 0)
        places = {"desc_user_addr": ring.descriptors, "used_user_addr": ring.device, "avail_user_addr": ring.driver}
        ioctl(self.fd, "VHOST_SET_VRING_ADDR", ffi.new("struct vhost_vring_addr *", {"index": ring.number, **places}))

    def set_kick(self, index: int, event: int) -> None:
        """The driver's notifications arrive by this eventfd."""
        self._file("VHOST_SET_VRING_KICK", index, event)

    def set_call(self, index: int, event: int) -> None:
        """Its interrupts go to this one; -1: to nobody."""
        self._file("VHOST_SET_VRING_CALL", index, event)

    def set_backend(self, index: int, tap: int) -> None:
        """vhost-net: the queue is worked on from now on, with this tap; -1: no more when this returns."""
        self._file("VHOST_NET_SET_BACKEND", index, tap)

    def set_cid(self, cid: int) -> None:
        """vhost-vsock. EADDRINUSE: another guest has it."""
        ioctl(self.fd, "VHOST_VSOCK_SET_GUEST_CID", ffi.new("uint64_t *", cid))

    def set_running(self, *, running: bool) -> None:
        """vhost-vsock: its queues are worked on from now on, or no more."""
        ioctl(self.fd, "VHOST_VSOCK_SET_RUNNING", ffi.new("int *", running))

    def _state(self, name: str, index: int, value: int) -> None:
        ioctl(self.fd, name, ffi.new("struct vhost_vring_state *", {"index": index, "num": value}))

    def _file(self, name: str, index: int, descriptor: int) -> None:
        ioctl(self.fd, name, ffi.new("struct vhost_vring_file *", {"index": index, "fd": descriptor}))


class Tap:
    """One that is open; whoever opened it closes it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def set_offloads(self, *, checksum: bool, tso4: bool, tso6: bool, ecn: bool) -> None:
        """What the guest takes as it is: packets without checksum, longer than the MTU (TUNSETOFFLOAD)."""
        wanted = {lib.TUN_F_CSUM: checksum, lib.TUN_F_TSO4: tso4, lib.TUN_F_TSO6: tso6, lib.TUN_F_TSO_ECN: ecn}
        ioctl(self.fd, "TUNSETOFFLOAD", sum(flag for flag, on in wanted.items() if on))
