"""Words of other tools for what a spec has and has not, as tables. Pure.

They are those of QEMU, libvirt, Proxmox, KubeVirt, Compose, Incus, Firecracker and cloud-hypervisor, as their manuals
have them: any writing of capitals, hyphens and underscores will do.
"""

from __future__ import annotations

# The field that is meant -> what others call it, by the section it is written in. `*`: anywhere.
FIELDS: dict[str, dict[str, str]] = {
    "": {
        "disks": "disk drive drives image images hda hdb hdc hdd cdrom cd dvd iso qcow qcow2 root-disk root-device "
        "disk-image disk-path disk-file volume storage scsi virtio virtio-blk sata ide block blockdev rootfs root "
        "boot-disk",
        "nics": "network networks nic net netdev netdevs interface interfaces network-interfaces network-interface "
        "bridge tap slirp passt vhost-net",
        "shares": "share shared-folder shared-folders synced-folder synced-folders mount mounts virtfs virtiofs 9p "
        "fsdev fs filesystem filesystems volumes",
        "vsock": "vhost-vsock vsocks guest-cid cid context-id vsock-cid",
    },
    "*": {
        "memory": "memory size ram mem memory-mb memory-mib memory-size ram-size mem-size mem-size-mib "
        "mem-limit limits-memory maxmem "
        "max-memory current-memory guest-memory memory-backing m",
        "boot": "boot payload boot-source os direct-boot",
        "devices": "devices",
        "confine": "confine sandbox",
        "cpus": "cpus cpu vcpu vcpus cores core smp ncpus num-cpus cpu-count vcpu-count boot-vcpus max-vcpus "
        "nproc processors limits-cpu cputune",
        "boot.kernel": "kernel kernel-path kernel-image kernel-image-path vmlinux vmlinuz bzimage "
        "linux kernel-boot "
        "kernel-file",
        "boot.initrd": "initrd initramfs ramdisk initrd-path initramfs-path",
        "boot.firmware": "firmware bootloader loader pflash ovmf edk2 seabios",
        "boot.variables": "nvram efidisk efi-vars ovmf-vars vars",
        "cloud-init": "cloud-init cloudinit cloud-init-no-cloud no-cloud nocloud seed",
        "boot.cmdline": "args append cmdline command-line cmd-line kernel-args kernel-cmdline kernel-params "
        "kernel-options boot-args bootargs extra-args params parameters",
        "cpus.pin": "pin pinning affinity cpu-affinity cpuset cpu-set vcpupin vcpu-pin cpu-pin "
        "dedicated-cpu-placement "
        "host-cpus emulatorpin",
        "memory.pages": "pages hugepages hugepage huge-pages hugepage-size huge-page-size page-size "
        "thp mem-path "
        "transparent-hugepages",
        "memory.node": "numa numatune numa-node nodeset host-nodes",
        "name": "name hostname domain-name vm-name vm-id vmid container-name title id",
    },
    "boot": {
        "boot.kernel": "image path file source",
        "boot.cmdline": "options opts arguments",
        "boot.initrd": "ramfs",
        "boot.firmware": "uefi efi bios type mode code",
    },
    "cloud-init": {
        "cloud-init.user-data": "userdata user file path config cloud-config",
        "cloud-init.meta-data": "metadata meta",
        "cloud-init.network-config": "networkconfig network-data network networks net",
    },
    "cpus": {
        "cpus.count": "n num number total max amount vcpu vcpus cpu cpus smp boot boot-vcpus vcpu-count max-vcpus",
        "cpus.topology.sockets": "sockets socket packages",
        "cpus.topology.cores": "cores core",
        "cpus.topology.threads": "threads thread",
        "cpus.pin": "set cpus-allowed cores-allowed host list",
    },
    "memory": {
        "memory.size": "limit limits request requests max current "
        "#text text amount bytes capacity length mem memory ram guest value megabytes size-mib",
        "memory.pages": "page backing kind type huge",
        "memory.node": "host-node host-numa-node socket policy nodes",
        "memory.at": "address addr base start offset gpa guest-address",
    },
    "devices": {
        "devices.mdev": "mdev-uuid uuid vgpu-uuid",
        "devices.pci": "host address addr bdf source path device-address host-address pci-address "
        "pci-id-path sysfsdev pci-bus-id hostdev pf physfn physical-function "
        "sysfs-path busid bus-id dev host-device hostdev pci-slot",
        "devices.vf": "virtual-function vf-index vf-number vf-id virtfn vfs",
        "devices.match.id": "id ids device-id pci-id vendor-device vendor product vendor-id product-id deviceid device "
        "pci-vendor-selector",
        "devices.match.class": "class type kind category device-type",
        "devices.match.serial": "serial serial-number sn wwn",
        "devices.match.slot": "slot physical-slot",
        "devices.match.node": "node numa numa-node",
        "devices.boot-order": "bootindex boot-index order boot",
        "devices.companions": "group iommu-group functions all-functions others rest siblings whole-slot",
        "devices.bind": "managed driver rebind detach",
        "devices.rom": "romfile rom-file rombar rom-bar vbios bios option-rom",
        "devices.network.mac": "mac macaddr mac-address mac-addr hwaddr",
        "devices.network.vlan": "vlan vlans vlan-id tag",
        "devices.network.trust": "trust trusted",
        "devices.network.spoofcheck": "spoofchk spoofcheck spoof-check",
        "devices.network": "net network-config vf-config",
        "devices.guest": "guest-address guest-pci guest-slot bus target vm-address",
        "devices.allow": "force ignore unsafe override accept",
        "devices.pick": "any select choose",
    },
    "disks": {
        "disks.path": "file source image img filename file-path src disk volume path-on-host device dev host-path",
        "disks.socket": "vhost-user vhost-socket vhost-user-socket sock unix-socket",
        "disks.format": "type image-type disk-type driver-type fmt",
        "disks.readonly": "read-only ro is-read-only",
        "disks.queues": "num-queues queue-count nr-queues multiqueue mq",
        "disks.discard": "trim unmap ssd",
        "disks.boot-order": "bootindex boot-index order boot",
    },
    "nics": {
        "nics.bridge": "br master network-bridge brname parent",
        "nics.tap": "ifname tap-name tap-device host-dev-name dev target device interface",
        "nics.mac": "macaddr mac-address mac-addr guest-mac hwaddr address hardware-address virtio",
        "nics.socket": "vhost-user vhost-socket vhost-user-socket sock path",
        "nics.user": "slirp passt user-mode nat default masquerade pod usernet",
        "nics.mtu": "host-mtu mtu-size",
    },
    "shares": {
        "shares.path": "source src folder dir directory host host-path shared-dir sharedir path-on-host from",
        "shares.readonly": "read-only ro",
    },
    "vsock": {"vsock.cid": "guest-cid context-id id address port"},
    "devices.network": {
        "devices.network.mac": "macaddr mac-address mac-addr address hwaddr hardware-address addr",
        "devices.network.vlan": "vlan-id tag vid vlans access",
        "devices.network.trust": "trusted",
        "devices.network.spoofcheck": "spoofchk spoof-check spoof anti-spoof antispoof mac-spoof-check",
    },
    "devices.match": {
        "devices.match.id": "device-id pci-id vendor device product vendor-id product-id ids vendor-device",
        "devices.match.class": "type kind category",
        "devices.match.serial": "sn serial-number wwn",
        "devices.match.slot": "physical-slot",
        "devices.match.node": "numa numa-node socket",
        "devices.pci": "pci address addr bdf host path",
        "devices.pick": "pick any",
        "devices.expect": "expect",
        "devices.rom": "rom romfile",
        "devices.companions": "companions group iommu-group",
    },
}

_DEVICE = "as in `devices: {disk: 0000:02:00.0}`; `vmlaunch devices` lists what this host has"

# What there is not -> what others call it, by the section it is written in. `*`: anywhere.
IN_BOOT: dict[str, str] = {
    "the root disk is named on the command line, as in `cmdline: console=ttyS0 root=/dev/nvme0n1p2`":
    "root rootfs root-device disk drive device dev hd order cdrom append-root",
    "it is said on the command line, as in `cmdline: console=ttyS0`": "console serial tty init quiet debug",
}  # fmt: skip
IN_CPUS: dict[str, str] = {
    "nothing is to be written: the guest has the host's own processor":
    "model mode feature features check migratable type vendor flags host-passthrough match fallback",
    "nothing is to be written: all vCPUs are there from the start": "current placement hotplug enabled",
}  # fmt: skip
IN_DEVICE: dict[str, str] = {
    "names of resources, as Kubernetes has them, are not known here: `pci` is the address of a device, "
    "`match: {id: 10de:2684}` finds one":
    "device-name resource-name pci-resource-name resource selector-name tag",
    "nothing is to be written: `pci` or `match` says which device it is":
    "gputype gpu-type nictype nic-type mode capability capabilities access primary subsys",
    "which device an interface belongs to says `vmlaunch devices`; a virtual function is "
    "`{pci: 0000:3b:00.0, vf: 0}`":
    "parent iface ifname interface interfaces netdev nic port",
    "a GPU has no number here: `vmlaunch devices` lists addresses, and `match: {class: gpu}` finds one":
    "device-ids device-index gpu-index gpu-ids index ordinal",
    "the name of a device is its key, as in `devices: {gpu: {pci: 0000:c1:00.0}}`": "alias name label nickname title",
    "nothing is to be written: the guest has every device on its PCI bus, and its IOMMU is the host's":
    "iommu viommu pcie multifunction xvga x-vga pci-segment",
}  # fmt: skip
IN_MATCH: dict[str, str] = {
    "names are not matched: `id` is, as `vmlaunch devices` shows it":
    "name model product-name description device-name resource-name chip title brand",
    "NVIDIA's UUIDs are not known here: `serial` and `slot` tell equal cards apart": "uuid gpu-uuid guid",
    "subsystem ids are not matched: `serial` and `slot` tell equal cards apart":
    "subsystem subsystem-id subsystem-vendor subvendor subdevice ssid svid revision rev",
    "drivers are not matched: `pick: free` takes one that no driver of the host's has": "driver bound unbound free",
}  # fmt: skip
IN_DISK: dict[str, str] = {
    "nothing is to be written: every disk is virtio-blk, served by qemu-storage-daemon":
    "bus if interface target driver model controller scsi cache aio io iothread detect-zeroes device-type direct "
    "num-threads backend engine",
    "vmlaunch limits no disk: a cgroup of the VM does, as by IOReadBandwidthMax= in a systemd unit":
    "throttle iops bps bps-max iops-max rate-limiter rate-limit bandwidth mbps mbps-rd mbps-wr iotune",
    "what a guest writes stays apart in an image of its own: `qemu-img create -f qcow2 -b debian.qcow2 -F qcow2 "
    "vm1.qcow2`":
    "snapshot ephemeral transient copy-on-write cow overlay clone template",
    "an image that several VMs have at once is `readonly: true` in each": "shared shareable share share-rw",
    "the guest writes a disk unless it is `readonly: true`": "mode access writable write rw read-write",
    "the length of a queue is that of qemu-storage-daemon: take the key out": "queue-size queuesize",
    "no key can be given: a guest can encrypt its disk itself, as with LUKS":
    "encryption encrypted encrypt luks key secret passphrase password",
    "a disk is a file or a block device of this host, which `path` names":
    "persistent-volume-claim pvc claim-name data-volume empty-disk host-disk url uri",
    "an image is as large as its maker has made it, as by `qemu-img create -f qcow2 debian.qcow2 20G`":
    "size capacity disk-size size-gb",
    "firmware finds a boot loader itself; `boot-order: 1` says which disk it tries first": "bootable is-root-device",
    "an image knows itself what it is based on: `qemu-img info --backing-chain` shows it":
    "backing backing-file backing-store base",
    "qemu-storage-daemon gives every disk the same serial number: the guest finds one by label, UUID or slot, as in "
    "`/dev/disk/by-path/pci-0000:00:01.0`":
    "serial serial-number sn wwn id",
    "the name of a disk is its key, as in `disks: {root: ./debian.qcow2}`": "name alias label title drive-id disk-id",
    "a CD is a disk that is only read, as in `{path: ./install.iso, readonly: true}`": "media cdrom",
}  # fmt: skip
IN_NIC: dict[str, str] = {
    "networks of libvirt have no names here: `bridge` is that of the network, as `ip link` shows it; `default` has "
    "virbr0":
    "network network-name source portgroup",
    "nothing is to be written: every NIC is virtio-net": "model nic-model",
    "every NIC is virtio-net, and what it is connected to is a key: `bridge: br0`, `tap: tap0`, "
    "`socket: /run/nic.sock` or `user: true`":
    "type kind nictype nic-type driver",
    "vmlaunch has no macvtap: make the host's card a port of a bridge, and write `bridge: br0`":
    "macvtap macvlan ipvlan direct mode",
    "a bridge of Open vSwitch is given a tap on the host, `ovs-vsctl add-port br-int tap0`, and the NIC that tap, "
    "`tap: tap0`":
    "ovs openvswitch open-vswitch virtualport ovs-bridge",
    "what is filtered is said on the bridge of the host": "firewall vlan vlans tag trunks filter filterref rate link",
    "addresses are the guest's own: it asks its network for them, or is told by `boot.cmdline`, as in `ip=dhcp`":
    "ip ip-address ipconfig ipv4 ipv6 gateway gw dns mask netmask dhcp",
    "vmlaunch forwards no ports: a NIC on a bridge, `{bridge: br0}`, can be reached as it is":
    "port ports forward hostfwd port-forward portforward",
    "a NIC has one pair of queues: nothing is to be written": "queues num-queues multiqueue vectors",
    "the name of a NIC is its key, as in `nics: {lan: {bridge: br0}}`": "name alias label title id iface-id "
    "interface-id nic-id",
    "nothing is to be written: vhost-net serves a bridge and a tap": "vhost vhost-net script downscript offload",
}  # fmt: skip
IN_VSOCK: dict[str, str] = {
    "nothing is to be written: the host reaches the guest by its context id, as in `socat - VSOCK-CONNECT:42:1024`":
    "socket uds-path path model type device source",
}  # fmt: skip
IN_SHARE: dict[str, str] = {
    "the name of a share is its key, and the guest mounts it by that: `mount -t virtiofs work /mnt`":
    "tag name alias mount-tag label target mountpoint mount-point to guest guest-path inside id",
    "the guest writes a share unless it is `readonly: true`": "mode access writable write rw read-write",
    "nothing is to be written: root in the guest is the folder's owner on the host":
    "uid gid user group owner squash idmap map translate-uid",
    "nothing is to be written: every share is virtiofs": "type driver cache queue-size num-queues accessmode "
    "security-model socket dax",
}  # fmt: skip
NONE: dict[str, str] = {
    "nothing is to be written: every guest has the serial port ttyS0, and Linux speaks there with "
    "`console=ttyS0` in "
    "`boot.cmdline`":
    "console",
    "`cpus` is the number of vCPUs in all, as in `cpus: 8`; how the guest sees them is "
    "`cpus: {topology: {sockets: 1, cores: 4, threads: 2}}`":
    "sockets threads topology dies clusters cores",
    "each device has an alias of its own, as in `devices: {gpu-0: 0000:c1:00.0, gpu-1: 0000:c2:00.0}`":
    "count replicas quantity",
    "the version of this format is `vmlaunch: 1`; take the key out":
    "version format schema",
    "the file is an object of Kubernetes, and no spec of a VM: `vmlaunch init` writes a first one": "api-version",
    "a disk is an image, a block device or a passed drive: `disks: {root: ./debian.qcow2}` at the left margin, or "
    f"`devices:`, {_DEVICE}":
    "disk disks drive drives image images hda hdb hdc hdd cdrom cd dvd iso qcow qcow2 rootfs root-disk root-device "
    "disk-image disk-path disk-file volume storage scsi virtio virtio-blk sata ide block blockdev root boot-disk",
    "an image is as large as its maker has made it, as by `qemu-img create -f qcow2 debian.qcow2 20G`":
    "disk-size disk-gb",
    "a disk or a device has its own, `boot-order: 1`, which firmware goes by; a kernel is told its root, as in "
    "`cmdline: console=ttyS0 root=/dev/vda1`":
    "boot-order order bootdisk",
    "vmlaunch has no such disk: its disks are virtio-blk, as in `disks: {root: ./debian.qcow2}`":
    "pmem nvdimm container-disk data-volume box floppy scsihw",
    "a NIC is on a bridge, a tap or the user's network, or it is passed: `nics: {lan: {bridge: br0}}` at the left "
    "margin, or `devices: {nic: {pci: 0000:3b:00.0, vf: 0}}`":
    "network networks nic nics net netdev netdevs interface interfaces network-interfaces network-interface bridge "
    "tap vhost-net slirp passt vdpa",
    "addresses are the guest's own: it asks its network for them, or is told by `boot.cmdline`, as in `ip=dhcp`":
    "ip ip-address ipconfig ipv4 ipv6 gateway dns nameserver",
    "vmlaunch forwards no ports: a NIC on a bridge, `nics: {lan: {bridge: br0}}`, can be reached as it is":
    "ports port forward",
    "the MAC belongs to a NIC, `nics: {lan: {bridge: br0, mac: 52:54:00:12:34:56}}`, or a virtual function, "
    "`devices: {nic: {pci: 0000:3b:00.0, vf: 0, network: {mac: 52:54:00:12:34:56, vlan: 100}}}`":
    "mac macaddr mac-address mac-addr hwaddr vlan vlans trust spoofchk spoofcheck",
    "firmware is a word of `boot:`, as in `boot: uefi`, `boot: bios` or `boot: {firmware: uefi, variables: "
    "./vm.vars.fd}`":
    "uefi efi bios grub",
    "vmlaunch has no SMM, and so no Secure Boot: `boot: uefi` starts OVMF without it":
    "secure-boot secureboot smm secure",
    "users, keys and scripts stand in a file in cloud-init's own words, which the spec names: "
    "`cloud-init: {user-data: ./user-data}`":
    "user-data userdata meta-data metadata-service vendor-data cicustom ciuser cipassword sshkeys ssh-keys ssh-key "
    "cloud-init-config-drive network-config",
    "vmlaunch has none: what the guest is to know goes into its root disk, its initrd, `boot.cmdline` or cloud-init's "
    "user-data":
    "ignition environment env smbios fw-cfg mmds",
    "vmlaunch has no USB of its own: pass a USB controller of the host, as in `devices: {usb: "
    "{match: {class: usb}}}`":
    "usb usbs usb-devices usbdevice usb-device usb-controller keyboard mouse input tablet redirdev",
    "vmlaunch has no screen: the guest has the serial port ttyS0, and a graphics card if one is "
    "passed by `devices:`":
    "vga display graphics video vnc spice screen sdl gtk virtio-gpu qxl egl-headless x-vga primary-gpu",
    "nothing is to be written: every guest has the serial port ttyS0, and `vmlaunch console NAME` "
    "attaches to it":
    "serial serials consoles console-log tty chardev nographic monitor qmp stdio",
    "a graphics card is passed by `devices:`, as in `devices: {gpu: 0000:c1:00.0}`; `vmlaunch "
    "devices` lists them":
    "gpu gpus graphics-card runtime",
    "a mediated device is passed by its UUID, as in `devices: {gpu: {mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}}`; a "
    "virtual function is `{pci: 0000:c1:00.0, vf: 0}`":
    "mdev mdevs vgpu vgpus mediated-device",
    "the host's devices are passed by `devices:`, each with an alias, as in `devices: {gpu: 0000:c1:00.0}`":
    "device hostdev hostdevs hostpci host-devices host-device pci pcie pci-devices passthrough vfio "
    "vfio-pci pci-passthrough "
    "nvme user-devices hostdevice assigned-devices accelerators unmapped-devices",
    "vmlaunch has no sound of its own: pass the host's, as in `devices: {audio: {match: {class: audio}}}`":
    "audio sound soundcard audiodev soundhw",
    "folders of the host are shared by `shares: {work: ./src}` at the left margin, and mounted in the guest by "
    "`mount -t virtiofs work /mnt`":
    "share shares shared-folder shared-folders synced-folder synced-folders mount mounts virtfs virtiofs 9p fsdev fs "
    "filesystem filesystems volumes volume-mounts",
    "nothing is to be written: a disk is served by the threads of qemu-storage-daemon":
    "iothreads iothread io-threads iothread-ids",
    "a socket to the host is `vsock: true` at the left margin": "vsock vhost-vsock",
    "vmlaunch has none: the guest has vCPUs, memory, a serial port, disks, networks, shares, vsock and the devices "
    "that are passed":
    "tpm tpmdev tpmstate rng virtio-rng watchdog balloon memballoon agent guest-agent qemu-agent "
    "channel controller "
    "controllers emulator iommu viommu launch-security sev tdx snapshot snapshots swap hotplug migration",
    "nothing is to be written: there is one machine, x86-64 with the host's own processor, take the key out":
    "machine machine-type arch architecture ostype os os-type os-variant type accel kvm enable-kvm "
    "hypervisor features "
    "acpi apic cpu-model cpu-type clock rtc tablet-mode chipset platform vm-type guest-os "
    "pm multifunction pcie-root xvga privileged cap-add",
    "nothing is to be written: a VM ends when its guest switches off or crashes, and a guest that reboots starts anew":
    "on-poweroff on-reboot on-crash on-lockfailure no-reboot no-shutdown",
    "vmlaunch has none: `examples/vmlaunch@.service` lets systemd start a VM with the host, and start it again":
    "restart autostart onboot startup running run-strategy restart-policy depends-on start "
    "autorestart daemon daemonize",
    "one file is one VM, and its keys stand at the left margin: `boot:`, `cpus:`, `memory:`, `devices:`":
    "services service vm vms domain domains spec template machines instances guests virtualmachine "
    "virtual-machine "
    "resources requests limits deploy machine-config config qemu libvirt provider",
    "keys of your own begin with x- and stand at the left margin, as in `x-uuid: ...`":
    "uuid description labels label annotations metadata comment notes tags owner kind author",
}  # fmt: skip

# Words of others for one of a field's choices.
CHOICES: dict[str, dict[str, str]] = {
    "pages": {
        "thp": "transparent always madvise auto transparent-hugepages",
        "4KiB": "normal small none default no false off",
    },
    "format": {"qcow2": "qcow qcow3", "raw": "img image dd iso block lvm none"},
    "companions": {
        "attach": "all pass passthrough include group together give yes true",
        "detach": "unbind remove take release stub",
        "refuse": "none fail error no false keep",
    },
    "bind": {
        "never": "no false manual off none already unmanaged",
        "auto": "yes true on always managed automatic vfio-pci vfio",
    },
    "pick": {"free": "any first lowest unused available idle next auto", "one": "unique single only exact"},
    "confine": {"auto": "default optional try best-effort", "required": "strict force always must yes true on"},
    "allow": {
        "in-use": "busy used inuse active",
        "no-reset": "noreset without-reset reset",
        "unsafe-interrupts": "allow-unsafe-interrupts unsafe-interrupt unsafe interrupts no-remapping",
    },
}
