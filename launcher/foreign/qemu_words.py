"""What QEMU has and a spec has not: the reason for each option and each device, as a table. Pure."""

from __future__ import annotations

UNKNOWN = "vmlaunch knows no such option"
NO_SCREEN = (
    "the guest has a serial console, and no screen, keyboard or sound: pass a graphics card and a USB controller by "
    "`devices`"
)
_SMBIOS = "the guest has no SMBIOS tables: who identifies it by them sees none"
_LIMITS = "vmlaunch shuts its own processes in, and takes no order for that: `confine` is all that is said"

LOST = {
    NO_SCREEN: "vga display vnc spice sdl curses audiodev audio soundhw usb usbdevice full-screen g k portrait "
    "no-frame no-quit alt-grab ctrl-grab show-cursor rotate",
    "a serial port, ttyS0, is all that there is": "parallel debugcon virtioconsole",
    _SMBIOS: "smbios uuid acpitable",
    "there is no fw_cfg device": "fw_cfg",
    "nothing stops a guest for a debugger": "gdb s S d trace dfilter icount plugin seed perfmap jitdump",
    "a VM's state is not saved or moved; on an image, `qemu-img create -f qcow2 -b` makes one to write": "snapshot "
    "loadvm incoming only-migratable",
    "the guest's clock is KVM's, in UTC": "rtc localtime startdate clock",
    "files of options are not read: import the command line that they are part of": "readconfig writeconfig",
    "there is no TPM for guests": "tpmdev",
    "there is no watchdog": "watchdog watchdog-action",
    "connect it on this host, and name its block device as a disk": "iscsi add-fd",
    "a setting of a device of QEMU's has no device here": "set device-property",
    "a guest that has ended is ended: its report and its log stay": "no-shutdown",
    "who runs `up` is who runs the VM": "runas run-with chroot",
    "devices that a guest shares with others by ivshmem are not there": "ivshmem",
    "the guest cannot be started before it is wanted": "preconfig qtest",
    "tell systemd or the shell": "action tb-size",
    "the firmware tries the disks, in the order of `boot-order`": "boot option-rom",
    "no Xen is there": "xen-domid xen-attach xen-domid-restrict",
    "a guest has one board": "dtb semihosting semihosting-config prom-env",
}
NEEDLESS = {
    "the guest is run by KVM, always": "enable-kvm accel no-kvm-irqchip no-kvm-pit tb-cache no-kvm",
    "vmlaunch has no other devices than those of the spec": "nodefaults no-user-config nodefconfig",
    "a serial console is always there: `vmlaunch console` and `logs` reach it": "nographic serial",
    "there is no monitor: `vmlaunch inspect`, `down` and `ps` do what is needed": "monitor qmp qmp-pretty mon",
    "`vmlaunch up -d` leaves a VM running, and `ps` knows its process": "daemonize pidfile",
    "each engine and each runner is shut in": "sandbox",
    "it is of the program, and not of the machine": "id L msg compat D enable-fips no-fd-bootchk h help version "
    "async-teardown enable-sync-profile nouserconfig",
    "memory that a device is passed with is locked, and other memory is not": "overcommit realtime balloon",
    "the guest has no HPET; its clocks are KVM's": "no-hpet win2k-hack rtc-td-hack tdf",
}

# Devices of `-device`, by the start of their names.
LOST_DEVICES = (
    (
        "VGA vga virtio-vga virtio-gpu qxl cirrus bochs-display ramfb secondary-vga usb- virtio-keyboard virtio-mouse "
        "virtio-tablet virtio-input virtio-multitouch intel-hda ich9-intel-hda hda- AC97 ac97 es1370 sb16 ES1370 "
        "virtio-sound vhost-user-gpu vhost-user-input ccid vmware-svga isa-vga",
        NO_SCREEN,
    ),
    (
        "virtserialport virtconsole spicevmc",
        "there is no virtio port for an agent: `vsock: true` connects guest and host",
    ),
    ("virtio-rng vhost-user-rng", "there is no virtio-rng: a guest's processor has RDRAND"),
    ("tpm-", "there is no TPM for guests"),
    ("i6300esb ib700", "there is no watchdog: `vmlaunch up --wait` and systemd see how a guest is"),
    ("pvpanic", "a guest that panics is seen on its console, and by its reboot"),
    ("ivshmem", "memory that guests share by ivshmem is not there: vsock and `shares` connect them"),
    ("intel-iommu amd-iommu virtio-iommu", "the guest has no IOMMU of its own"),
    (
        "pc-dimm nvdimm virtio-mem virtio-pmem cxl-",
        "memory is all there from the start, and no DIMM or NVDIMM is added",
    ),
    ("vmgenid vmcoreinfo", "the guest is not told of copies and dumps of itself"),
    ("vhost-scsi vhost-user-scsi", "there is no vhost-scsi: name the block devices as disks"),
    ("isa-applesmc isa-debug edu pci-testdev isa-debugcon loader", "there is no such device of QEMU's"),
    ("vhost-vdpa", "there is no vDPA: pass a virtual function by `devices`"),
)
NEEDLESS_DEVICES = (
    (
        "pci-bridge pcie-root-port ioh3420 pcie-pci-bridge i82801b11 x3130 xio3130 pxb pcie-pxb dmi- qemu-xhci "
        "nec-usb-xhci ich9-usb piix3-usb piix4-usb pci-ohci usb-ehci virtio-scsi virtio-serial ahci ich9-ahci megasas "
        "pvscsi lsi mptsas am53c974 ide- sata scsi-controller pcie-switch",
        "functions of the guest are all on one PCI bus, and have no controller above them",
    ),
    ("isa-serial pci-serial", "a serial console on ttyS0 is always there: `vmlaunch console` and `logs` reach it"),
    ("virtio-balloon", "memory is all there from the start: nothing takes it back by a balloon"),
)
OBJECTS_LOST = (
    ("rng", "there is no virtio-rng: a guest's processor has RDRAND"),
    ("sev tdx s390-pv", "the guest's memory is not encrypted: SEV and TDX are not supported"),
    ("secret tls", "there is nothing to connect to by network that would need it"),
    ("throttle", "nothing is limited here: a unit of systemd can"),
    ("cryptodev authz can filter input colo dbus", "there is no such thing for guests"),
)
OBJECTS_NEEDLESS = (("iothread thread-context main-loop", "engines have threads of their own"),)


def reason(table: tuple[tuple[str, str], ...], word: str) -> str:
    """By the start of the word; nothing if it is not there."""
    return next((why for words, why in table if word.startswith(tuple(words.split()))), "")
