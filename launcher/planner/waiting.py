"""A function and the host's kernel in; what the driver's unbind waits for, and who in the kernel keeps it waiting, out.

Pure.
"""

from __future__ import annotations

from launcher.planner.linux import values_of
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import Linux, PciFunction


class Wait(NamedTuple):
    """A driver, or how the names of a kind begin, whose unbind waits in the kernel and cannot be interrupted.

    `until` says when it ends; `since` and `source` are where that is from. `modules`: besides processes, modules of
    the kernel hold the device.
    """

    driver: str
    until: str
    since: str
    source: str
    modules: bool = False


_WAITS = (
    Wait(
        "nvidia",
        until="usage_count is 0: it does not go on when processes are killed later",
        since="at least 2018; newer ones ask nvidia_modeset first to let go (nvidia_modeset_remove)",
        source="nv_pci_remove_helper in kernel-open/nvidia/nv-pci.c of NVIDIA/open-gpu-kernel-modules",
        modules=True,
    ),
    Wait(
        "snd_",
        until="all files of the card are closed",
        since="ALSA is in Linux",
        source="snd_card_free in sound/core/init.c, which every driver of a sound card calls when it is removed",
    ),
    Wait(
        "sof-audio-pci",
        until="all files of the card are closed",
        since="5.2",
        source="soc_cleanup_card_resources in sound/soc/soc-core.c, which calls snd_card_free",
    ),
)
_DRM = "nvidia_drm"
_ON = ("Y", "y", "1")


def waiting(one: PciFunction) -> Wait | None:
    """NVIDIA's driver lets go of a virtual function at once."""
    found = next((wait for wait in _WAITS if (one.driver or "").startswith(wait.driver)), None)
    return None if found and found.modules and (one.driver != found.driver or one.physical_function) else found


def drm_clients(linux: Linux) -> Iterator[str]:
    """Why nvidia_drm has the GPU: it takes every one while it sets modes or has a framebuffer console."""
    if linux.holders is not None and _DRM not in linux.holders.get("nvidia_modeset", ()):
        return
    yield from (f"{_DRM}.{name} is on" for name in ("modeset", "fbdev") if _is_on(name, linux))
    if any(name.startswith("nvidia-drm") for name in linux.framebuffers):
        yield f"the host has a framebuffer of {_DRM}"


def drm_is_likely(one: PciFunction, linux: Linux) -> bool:
    """It has connectors only while it sets modes; facts of before do not say."""
    return linux.holders is None and any(use.kind == "display" for use in one.uses)


def drm_is_unread(linux: Linux) -> bool:
    """Its parameters are root's, and what the command line does not say may be in a file."""
    held = (linux.holders or {}).get("nvidia_modeset", ())
    return _DRM in held and f"{_DRM}.modeset" not in linux.parameters and not values_of(linux, f"{_DRM}.modeset")


def _is_on(name: str, linux: Linux) -> bool:
    """What the module says of itself, or else what it was told."""
    said = linux.parameters.get(f"{_DRM}.{name}")
    return said in _ON if said is not None else values_of(linux, f"{_DRM}.{name}")[-1:] in [(one,) for one in _ON]
