"""A step that starts an engine, and descriptors of what it serves, in; the words of its command line out. Pure.

Images and folders are told as descriptors: what a path would lead to by now does not matter, nor what is in a name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from launcher.plan.virtio import ServedDisk
from launcher.row import NamedTuple
from launcher.typed import Any

OPENED = "/proc/self/fd/{}"


class OpenImage(NamedTuple):
    """`direct`: its file system takes O_DIRECT. `lock` is a descriptor that holds one, for the engine to inherit."""

    fd: int
    is_device: bool
    direct: bool
    lock: int | None = None


class OpenDisk(NamedTuple):
    """`images` as those of the disk; `listening` is where its engine takes its client."""

    disk: ServedDisk
    images: tuple[OpenImage, ...]
    listening: int


def disk_words(disks: tuple[OpenDisk, ...]) -> tuple[str, ...]:
    """Of qemu-storage-daemon: nodes of each chain from its end on, then what is exported."""
    return tuple(word for n, disk in enumerate(disks) for word in _of_disk(n, disk))


def _of_disk(n: int, opened: OpenDisk) -> Iterator[str]:
    disk, backing = opened.disk, None
    for depth in reversed(range(len(disk.images))):
        readonly = disk.readonly or depth > 0
        yield from ("--blockdev", _json(_file(f"f{n}-{depth}", opened.images[depth], readonly, disk.discard)))
        node = {
            "driver": disk.images[depth].format,
            "node-name": f"d{n}-{depth}",
            "file": f"f{n}-{depth}",
            "read-only": readonly,
            "auto-read-only": False,
            "discard": "unmap" if disk.discard else "ignore",
        }
        if disk.images[depth].format == "qcow2":
            node["backing"] = backing  # null: nothing that the header may say is opened
        yield from ("--blockdev", _json(node))
        backing = f"d{n}-{depth}"
    export = {
        "type": "vhost-user-blk",
        "id": f"e{n}",
        "node-name": f"d{n}-0",
        "addr": {"type": "fd", "str": str(opened.listening)},
        "writable": not disk.readonly,
        "num-queues": disk.queues,
    }
    yield from ("--export", _json(export))


def _file(name: str, image: OpenImage, readonly: bool, discard: bool) -> dict[str, Any]:
    return {
        "driver": "host_device" if image.is_device else "file",
        "node-name": name,
        "filename": OPENED.format(image.fd),
        "read-only": readonly,
        "auto-read-only": False,
        "discard": "unmap" if discard else "ignore",
        "cache": {"direct": image.direct},
        "aio": "native" if image.direct else "threads",
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value)


def share_words(kind: str, folder: str, listening: int, *, readonly: bool) -> tuple[str, ...]:
    """Of virtiofsd. The one in C has no word for read-only: its folder is mounted so."""
    if kind == "c":
        own = ("-o", f"source={folder}", "-o", "sandbox=chroot", "-o", "log_level=err", "--rlimit-nofile=0")
        return (f"--fd={listening}", "-f", *own)
    words = (f"--fd={listening}", f"--shared-dir={folder}", "--sandbox=none", "--log-level=error", "--rlimit-nofile=0")
    return (*words, "--readonly") if readonly else words


def network_words(connected: int) -> tuple[str, ...]:
    """Of passt. Nobody comes in, and the host's own loopback is not reached by the gateway's address."""
    nobody = ("--tcp-ports", "none", "--udp-ports", "none", "--no-map-gw")
    return ("--vhost-user", "--foreground", "--quiet", "--fd", str(connected), *nobody)
