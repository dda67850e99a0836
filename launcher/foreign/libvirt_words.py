"""What libvirt has and a spec has not: the reason for each element, as a table. Pure."""

from __future__ import annotations

from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.foreign.xml_tree import Element

UNKNOWN = "vmlaunch knows no such element"

LOST = {
    "the guest has no SMBIOS tables: who identifies it by them sees none": "uuid sysinfo genid",
    "nothing of this kind is limited here: run `vmlaunch up` in a unit of systemd that limits it": "blkiotune memtune "
    "resource throttlegroups cachetune",
    "the guest's memory is not encrypted: SEV and TDX are not supported": "launchSecurity keywrap",
    "what starts is said by `boot`": "bootloader bootloader_args",
    "a guest of KVM has no users of the host": "idmap",
    "vCPUs are all there from the start": "vcpus",
    "who may touch its files is the user's that runs `up`, and no label is set": "seclabel",
    "what QEMU has of its own is not here": "override capabilities deprecation",
}
NEEDLESS = {
    "it is for people and for tools of libvirt": "title description metadata hwuuid",
    "the guest is run with one thread for each vCPU, and engines have threads of their own": "iothreads iothreadids "
    "defaultiothread perf",
}
LOST_DEVICES = {
    "the guest has a serial console, and no screen, keyboard or sound: pass a graphics card and a USB controller by "
    "`devices`": "graphics video input sound audio redirdev redirfilter hub",
    "there is no virtio port for an agent: `vsock: true` connects guest and host": "channel",
    "there is no virtio-rng: a guest's processor has RDRAND": "rng",
    "there is no TPM for guests": "tpm",
    "there is no watchdog: `vmlaunch up --wait` and systemd see how a guest is": "watchdog",
    "a guest that panics is seen on its console, and by its reboot": "panic pstore",
    "memory that guests share by ivshmem is not there: vsock and `shares` connect them": "shmem",
    "the guest has no IOMMU of its own": "iommu",
    "memory is all there from the start, and no DIMM or NVDIMM is added": "memory",
    "there is no such device for guests": "smartcard parallel crypto nvram egd",
    "locks of libvirt's lock manager are not taken: an image is claimed by `up` itself": "lease",
}
NEEDLESS_DEVICES = {
    "vmlaunch runs the guest itself": "emulator",
    "functions of the guest are all on one PCI bus": "controller",
    "a serial console on ttyS0 is always there: `vmlaunch console` and `logs` reach it": "console serial",
    "memory is all there from the start: nothing takes it back by a balloon": "memballoon",
}

_SHOWN = ("type", "model", "mode", "name", "device", "dev", "target")


def shown(one: Element) -> str:
    """`<video model="qxl">`: enough to find it by."""
    inner = {key: one.said("model", key) for key in ("type", "name")} if one.first("model") else {}
    told = [f'{key}="{one.get(key)}"' for key in _SHOWN if one.get(key)]
    model = f' model="{next(filter(None, inner.values()), "")}"' if any(inner.values()) and not told else ""
    return f"<{one.tag}{''.join(f' {part}' for part in told)}{model}>"
