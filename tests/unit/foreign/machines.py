# ruff: noqa: E501 - a table
"""Machines of many makers as facts: which options or elements each writes, the spec that they mean, and what is lost.

None of these texts is anybody's: each is made here of what the maker's files have in common.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

BOOT = {"kernel": "/k"}


@dataclass(frozen=True)
class Machine:
    """`spec`: what it means, without `boot` where `firmware` starts it. `lost`: words of what no spec says."""

    maker: str
    text: str
    spec: dict[str, Any]
    lost: tuple[str, ...] = ()
    firmware: str = ""


def qemu(*options: str, program: str = "qemu-system-x86_64", lines: bool = False) -> str:
    """As a script has it, or in one line. An option is a text with its value behind a blank."""
    words = [word for one in options for word in one.split(" ", 1)]
    return (" \\\n  " if lines else " ").join([program, *map(shlex.quote, words)]) + "\n"


def x(head: str, *inner: str) -> str:
    """`x("disk type=file", ...)`: an element."""
    tag, *pairs = head.split()
    told = "".join(f" {key}={quoteattr(value)}" for key, value in (one.split("=", 1) for one in pairs))
    return f"<{tag}{told}>{''.join(inner)}</{tag}>"


def domain(name: str, *inner: str, memory: str = "<memory>2097152</memory>", cpus: str = "<vcpu>2</vcpu>") -> str:
    return x("domain type=kvm", x("name", name), memory, cpus, *inner)


HVM = x("os", x("type arch=x86_64 machine=pc-q35-8.2", "hvm"), "<boot dev='hd'/>")
UEFI = x("os firmware=efi", x("type arch=x86_64 machine=pc-q35-8.2", "hvm"))
LINUX = x("os", x("type arch=x86_64", "hvm"), x("kernel", "/k"))
M2 = {"cpus": 2, "memory": "2GiB"}


def file_disk(path: str, dev: str = "vda", bus: str = "virtio", kind: str = "qcow2", *more: str) -> str:
    parts = (x(f"driver name=qemu type={kind}"), x(f"source file={path}"), x(f"target dev={dev} bus={bus}"), *more)
    return x("disk type=file device=disk", *parts)


def pci(head: str, bus: str, slot: str, function: str) -> str:
    return x(f"{head} domain=0x0000 bus={bus} slot={slot} function={function}")


def passed(bus: str, slot: str, function: str, *more: str, head: str = "managed=yes") -> str:
    source = x("source", pci("address", bus, slot, function))
    return x(f"hostdev mode=subsystem type=pci {head}", source, *more)


def node(name: str, path: str, driver: str = "qcow2", **more: object) -> str:
    """A block node as Proxmox and libvirt write one: JSON."""
    file = {"driver": "file", "filename": path, "node-name": f"{name}-file"}
    return "-blockdev " + json.dumps({"driver": driver, "node-name": name, "file": file} | more)


OF_QEMU = (
    Machine(
        "Proxmox VE",
        qemu(
            "-id 100", "-name web01,debug-threads=on", "-no-shutdown", "-pidfile /run/100.pid", "-daemonize",
            "-smbios type=1,uuid=1", "-smp 4,sockets=2,cores=2,maxcpus=4", "-nodefaults", "-vnc unix:/run/v,password=on",
            "-cpu x86-64-v2-AES,enforce", "-m 4096", "-device virtio-balloon-pci,id=balloon0",
            '-object {"id":"t","limits":{},"qom-type":"throttle-group"}', "-device virtio-scsi-pci,id=scsihw0",
            '-blockdev {"driver":"throttle","discard":"unmap","node-name":"drive-scsi0","file":{"driver":"qcow2",'
            '"file":{"driver":"file","filename":"/var/lib/vz/a.qcow2"}},"throttle-group":"t"}',
            "-device scsi-hd,bus=scsihw0.0,lun=0,drive=drive-scsi0,id=scsi0,bootindex=100", "-device ide-cd,id=ide2",
            "-netdev type=tap,id=net0,ifname=tap100i0,script=/usr/libexec/pve-bridge,vhost=on",
            "-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,id=net0", "-machine type=pc+pve0",
            program="/usr/bin/kvm", lines=True,
        ),
        {"name": "web01", "cpus": {"count": 4, "topology": {"sockets": 2, "cores": 2}}, "memory": "4GiB",
         "disks": {"scsi0": {"path": "/var/lib/vz/a.qcow2", "discard": True, "boot-order": 100}},
         "nics": {"net0": {"tap": "tap100i0", "mac": "bc:24:11:00:00:01"}}},
        ("virtio_blk", "SMBIOS", "no script is run", "x86-64-v2-AES"), "bios",
    ),
    Machine(
        "Proxmox VE with a graphics card",
        qemu(
            "-name gpu", "-m 16384", "-smp 8,sockets=1,cores=8,maxcpus=8", "-cpu host,kvm=off",
            node("pflash0", "/usr/share/OVMF_CODE.fd", "raw"), node("efi", "/dev/pve/vm-1-disk-0", "raw"),
            "-machine type=q35,pflash0=pflash0,pflash1=efi", "-device vfio-pci,host=0000:01:00.0,id=hostpci0.0,"
            "bus=ich9-pcie-port-1,addr=0x0.0,x-vga=on,multifunction=on",
            "-device vfio-pci,host=0000:01:00.1,id=hostpci0.1,bus=ich9-pcie-port-1,addr=0x0.1",
            "-device pcie-root-port,id=ich9-pcie-port-1", "-object memory-backend-file,id=ram0,size=16384M,"
            "mem-path=/run/hugepages/kvm/1048576kB,share=on,prealloc=yes", "-numa node,nodeid=0,cpus=0-7,memdev=ram0",
            program="kvm",
        ),
        {"name": "gpu", "cpus": 8, "memory": [{"size": "16GiB", "pages": "1GiB"}],
         "devices": {"hostpci0-0": "0000:01:00.0", "hostpci0-1": "0000:01:00.1"}},
        ("UEFI's variables /dev/pve/vm-1-disk-0", "KVM is not hidden", "x-vga", "NUMA"), "uefi",
    ),
    Machine(
        "libvirt's log",
        "2026-01-01 00:00:00.000+0000: starting up libvirt version: 10.0.0\nLC_ALL=C \\\nPATH=/usr/bin \\\n"
        + qemu(
            "-name guest=deb12,debug-threads=on", "-S", "-accel kvm", "-cpu host,migratable=on", "-m size=2097152k",
            "-object " + json.dumps({"qom-type": "memory-backend-memfd", "id": "pc.ram", "share": True, "size": 1 << 31}),
            "-overcommit mem-lock=off", "-smp 2,sockets=2,cores=1,threads=1", "-uuid 1", "-no-user-config",
            "-machine pc-q35-7.2,usb=off,memory-backend=pc.ram", "-rtc base=utc,driftfix=slew", "-boot strict=on",
            node("libvirt-1-format", "/img/d.qcow2"),
            '-device {"driver":"virtio-blk-pci","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1}',
            '-netdev {"type":"tap","fd":"35","vhost":true,"id":"hostnet0"}',
            '-device {"driver":"virtio-net-pci","netdev":"hostnet0","mac":"52:54:00:00:00:02"}',
            '-device {"driver":"vhost-vsock-pci","guest-cid":7}', "-sandbox on", "-msg timestamp=on",
            program="/usr/bin/qemu-system-x86_64", lines=True,
        ),
        {"name": "deb12", "cpus": {"count": 2, "topology": {"sockets": 2, "cores": 1}}, "memory": "2GiB",
         "disks": {"virtio-disk0": {"path": "/img/d.qcow2", "boot-order": 1}}, "vsock": 7},
        ("the tap has no name", "-S", "-uuid"), "bios",
    ),
    Machine(
        "quickemu",
        qemu(
            "-name ubuntu,process=ubuntu", "-machine q35,smm=off,vmport=off,accel=kvm", "-global kvm-pit.x=discard",
            "-cpu host", "-smp cores=4,threads=2,sockets=1", "-m 8G", "-device virtio-balloon", "-rtc base=localtime",
            "-pidfile u/u.pid", "-display sdl,gl=on", "-device virtio-rng-pci,rng=rng0",
            "-object rng-random,id=rng0,filename=/dev/urandom", "-device qemu-xhci,id=usb", "-device usb-tablet",
            "-audiodev pa,id=audio0", "-device intel-hda", "-device virtio-net,netdev=nic",
            "-netdev user,hostname=ubuntu,hostfwd=tcp::22220-:22,id=nic",
            "-drive if=pflash,format=raw,unit=0,file=/usr/share/OVMF/OVMF_CODE_4M.fd,readonly=on",
            "-drive if=pflash,format=raw,unit=1,file=u/OVMF_VARS.fd", "-device virtio-blk-pci,drive=SystemDisk",
            "-drive id=SystemDisk,if=none,format=qcow2,file=u/disk.qcow2", "-monitor unix:u/m.socket,server,nowait",
            "-fsdev local,id=fsdev0,path=/home/ada/Public,security_model=mapped-xattr",
            "-device virtio-9p-pci,fsdev=fsdev0,mount_tag=Public-ada", program="/usr/bin/qemu-system-x86_64",
        ),
        {"name": "ubuntu", "cpus": {"count": 8, "topology": {"cores": 4, "threads": 2}}, "memory": "8GiB",
         "disks": {"systemdisk": "u/disk.qcow2"}, "nics": {"nic": "user"},
         "shares": {"public-ada": "/home/ada/Public"}},
        ("UEFI's variables u/OVMF_VARS.fd", "hostfwd", "the tag Public-ada", "relative", "virtio-rng"), "uefi",
    ),
    Machine(
        "OSX-KVM, a script with an array",
        "#!/usr/bin/env bash\nREPO_PATH=.\nALLOCATED_RAM=\"4096\" # MiB\nCPU_SOCKETS=1\nCPU_CORES=2\n"
        'args=(\n  -enable-kvm -m "$ALLOCATED_RAM" -cpu Haswell-noTSX,vendor=GenuineIntel\n  # a comment\n'
        '  -smp "4",cores="$CPU_CORES",sockets="$CPU_SOCKETS"\n  -device isa-applesmc,osk="words, with (c)"\n'
        '  -drive if=pflash,format=raw,readonly=on,file="$REPO_PATH/OVMF_CODE.fd"\n  -device ich9-ahci,id=sata\n'
        '  -drive id=MacHDD,if=none,file="$REPO_PATH/mac_hdd.img",format=qcow2\n'
        "  -device ide-hd,bus=sata.4,drive=MacHDD\n"
        "  -netdev user,id=net0 -device vmxnet3,netdev=net0,id=net0,mac=52:54:00:c9:18:27\n  -vga vmware\n)\n"
        'qemu-system-x86_64 "${args[@]}"\n',
        {"name": "vm", "cpus": 4, "memory": "4GiB", "disks": {"machdd": {"path": "./mac_hdd.img", "format": "qcow2"}},
         "nics": {"net0": {"user": True, "mac": "52:54:00:c9:18:27"}}},
        ("Haswell-noTSX", "isa-applesmc", "the model vmxnet3", "sockets of 2 cores"), "uefi",
    ),
    Machine(
        "a passthrough guide",
        "export QEMU_AUDIO_DRV=none\nvirsh nodedev-detach pci_0000_01_00_0\nMEM=8G\nOPTS=\"-cpu host,+svm -m $MEM\"\n"
        'OPTS="$OPTS -mem-path /dev/hugepages -mem-prealloc"\nsudo taskset -c 2-5 qemu-system-x86_64 $OPTS \\\n'
        "  -smp 4 -kernel /k -device vfio-pci,host=01:00.0,romfile=/roms/ga104.rom \\\n"
        "  -device vfio-pci,host=01:00.1,addr=0x12 -device nec-usb-xhci -usbdevice tablet -drive file=/dev/vg/w,if=virtio,"
        "format=raw,cache=none,aio=native -net none && echo done\n",
        {"name": "vm", "boot": BOOT, "cpus": {"count": 4, "nested": True},
         "memory": [{"size": "8GiB", "pages": "2MiB"}], "disks": {"w": "/dev/vg/w"},
         "devices": {"hostdev": {"pci": "0000:01:00.0", "rom": "/roms/ga104.rom"},
                     "hostdev-2": {"pci": "0000:01:00.1", "guest": "00:12.0"}}},
        ("sudo taskset -c 2-5", "default size", "cache=none aio=native"),
    ),
    Machine(
        "Buildroot",
        '#!/bin/sh\nBINARIES_DIR="${0%/*}"\nif [ "${1}" = "serial-only" ]; then\n    EXTRA_ARGS=\'-nographic\'\nelse\n'
        "    EXTRA_ARGS=''\nfi\nexec qemu-system-x86_64 -M pc -kernel /k -drive file=/r.ext2,if=virtio,format=raw "
        '-append "rootwait root=/dev/vda console=tty1 console=ttyS0" -net nic,model=virtio -net user ${EXTRA_ARGS} "$@"\n',
        {"name": "vm", "boot": BOOT | {"cmdline": "rootwait root=/dev/vda console=tty1 console=ttyS0"}, "cpus": 1,
         "memory": "128MiB", "disks": {"r": "/r.ext2"}, "nics": {"net": "user"}},
        ("no -m",),
    ),
    Machine(
        "Yocto's runqemu",
        qemu(
            "-device virtio-net-pci,netdev=net0,mac=52:54:00:12:34:02",
            "-netdev tap,id=net0,ifname=tap0,script=no,downscript=no", "-object rng-random,filename=/dev/urandom,id=rng0",
            "-device virtio-rng-pci,rng=rng0", "-drive file=/r.ext4,if=virtio,format=raw", "-usb", "-cpu IvyBridge",
            "-machine q35,i8042=off", "-smp 4", "-m 256", "-serial mon:stdio", "-nographic", "-kernel /k",
            "-append root=/dev/vda rw ip=192.168.7.2::192.168.7.1:255.255.255.0::eth0:off:8.8.8.8",
        ),
        {"name": "vm", "cpus": 4, "memory": "256MiB", "disks": {"r": "/r.ext4"},
         "boot": BOOT | {"cmdline": "root=/dev/vda rw ip=192.168.7.2::192.168.7.1:255.255.255.0::eth0:off:8.8.8.8"},
         "nics": {"net0": {"tap": "tap0", "mac": "52:54:00:12:34:02"}}},
        ("IvyBridge", "virtio-rng"),
    ),
    Machine(
        "syzkaller",
        qemu(
            "-m 2048", "-smp 2", "-chardev socket,id=SOCKSYZ,server=on,wait=off,host=localhost,port=5",
            "-mon chardev=SOCKSYZ,mode=control", "-display none", "-serial stdio", "-no-reboot", "-name VM-0",
            "-device virtio-rng-pci", "-enable-kvm", "-cpu host,migratable=off", "-device e1000,netdev=net0",
            "-netdev user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:1-:22", "-hda /i.img", "-snapshot", "-kernel /k",
            "-append root=/dev/sda console=ttyS0",
        ),
        {"name": "vm-0", "boot": BOOT | {"cmdline": "root=/dev/sda console=ttyS0"}, "cpus": 2, "memory": "2GiB",
         "disks": {"i": "/i.img"}, "nics": {"net0": "user"}},
        ("-no-reboot", "-snapshot", "the bus ide", "the name VM-0", "restrict=on", "the model e1000"),
    ),
    Machine(
        "virtme-ng",
        qemu(
            "-name virtme-ng", "-m 1G", "-machine q35,accel=kvm:tcg", "-cpu host", "-parallel none", "-net none",
            "-smp 2", "-virtfs local,path=/,mount_tag=ROOTFS,security_model=none,readonly=on,multidevs=remap",
            "-echr 1", "-vga none", "-display none", "-kernel /k", "-append virtme_hostname=v rootfstype=9p",
            "-no-reboot",
        ),
        {"name": "virtme-ng", "boot": BOOT | {"cmdline": "virtme_hostname=v rootfstype=9p"}, "cpus": 2,
         "memory": "1GiB", "shares": {"rootfs": {"path": "/", "readonly": True}}},
        ("a share by 9p", "the tag ROOTFS", "-echr 1"),
    ),
    Machine(
        "mkosi",
        qemu(
            "-machine type=q35,smm=on,hpet=off", "-smp 2", "-m 2048M", "-object rng-random,filename=/dev/urandom,id=r",
            "-device virtio-rng-pci,rng=r", "-device virtio-balloon,free-page-reporting=on", "-no-user-config",
            "-nic user,model=virtio-net-pci", "-cpu max", "-device vhost-vsock-pci,guest-cid=1234", "-nographic",
            "-drive if=pflash,format=raw,readonly=on,file=/OVMF_CODE.fd", "-drive file=/v.fd,if=pflash,format=raw",
            "-drive if=none,id=mkosi,file=/i.raw,format=raw,cache.writeback=on", "-device virtio-blk-pci,drive=mkosi",
            "-smbios type=11,value=io.systemd.credential:x=y", "-chardev socket,id=t,path=/tpm", "-tpmdev emulator,id=t",
            "-device tpm-tis,tpmdev=t",
        ),
        {"name": "vm", "cpus": 2, "memory": "2GiB", "disks": {"mkosi": "/i.raw"}, "nics": {"net": "user"},
         "vsock": 1234},
        ("there is no TPM", "SMBIOS"), "uefi",
    ),
    Machine(
        "the NixOS test driver",
        'NIX_DISK_IMAGE=$(readlink -f "${NIX_DISK_IMAGE:-./m.qcow2}") || exit 1\nexec /nix/store/q/bin/qemu-kvm -cpu max '
        "-name machine -m 1024 -smp 1 -device virtio-rng-pci -net nic,netdev=user.0,model=virtio "
        "-netdev user,id=user.0 -virtfs local,path=/nix/store,security_model=none,mount_tag=nix-store "
        "-drive cache=writeback,file=/m.qcow2,id=drive1,if=none,index=1,werror=report -device virtio-blk-pci,drive=drive1 "
        "-kernel ${NIXPKGS_QEMU_KERNEL_machine:-/k} -initrd /i -append \"console=ttyS0 init=/nix/init $QEMU_APPEND\" $QEMU_OPTS\n",
        {"name": "machine", "boot": {"kernel": "/k", "initrd": "/i", "cmdline": "console=ttyS0 init=/nix/init $QEMU_APPEND"},
         "cpus": 1, "memory": "1GiB", "disks": {"drive1": "/m.qcow2"}, "shares": {"nix-store": "/nix/store"}},
        ("what a shell fills in", "no card is on it"),
    ),
    Machine(
        "Kata Containers",
        qemu(
            "-name sandbox-1,debug-threads=on", "-machine q35,accel=kvm,nvdimm=on", "-cpu host,pmu=off",
            "-m 2048M,slots=10,maxmem=32768M", "-device pcie-root-port,id=rp1", "-device virtio-serial-pci,id=serial0",
            "-object memory-backend-file,id=dimm1,size=2048M,mem-path=/dev/shm,share=on", "-numa node,memdev=dimm1",
            "-object memory-backend-file,id=mem0,mem-path=/kata.img,size=128M,readonly=on",
            "-device nvdimm,id=nv0,memdev=mem0", "-object rng-random,id=rng0,filename=/dev/urandom",
            "-device virtio-rng-pci,rng=rng0", "-device vhost-vsock-pci,vhostfd=3,id=v,guest-cid=42",
            "-chardev socket,id=c,path=/vhost-fs.sock", "-device vhost-user-fs-pci,chardev=c,tag=kataShared",
            "-device vfio-pci,host=0000:3b:02.1,bus=rp1", "-kernel /k", "-append tsc=reliable panic=1",
            "-smp 1,cores=1,threads=1,sockets=32,maxcpus=32", "-rtc base=utc", "-no-reboot",
        ),
        {"name": "sandbox-1", "boot": BOOT | {"cmdline": "tsc=reliable panic=1"}, "cpus": 1, "memory": "2GiB",
         "devices": {"hostdev": "0000:3b:02.1"}, "vsock": 42},
        ("maxmem=32768M", "NVDIMM", "the share kataShared", "maxcpus=32", "memory in /dev/shm"),
    ),
    Machine(
        "Packer",
        qemu(
            "-m 2048M", "-boot once=d", "-name packer.qcow2", "-smp 2", "-machine type=pc,accel=kvm",
            "-netdev user,id=user.0,hostfwd=tcp::3213-:22", "-device virtio-net,netdev=user.0",
            "-drive file=o/packer.qcow2,if=virtio,cache=writeback,discard=unmap,format=qcow2",
            "-drive file=/iso/d.iso,media=cdrom", "-vnc 127.0.0.1:47",
        ),
        {"name": "packer-qcow2", "cpus": 2, "memory": "2GiB",
         "disks": {"packer": {"path": "o/packer.qcow2", "discard": True}, "d": {"path": "/iso/d.iso", "readonly": True}},
         "nics": {"user-0": "user"}},
        ("a CD drive", "-boot once=d"), "bios",
    ),
    Machine(
        "NVIDIA's vGPU of a RHEL guide",
        qemu(
            "-m 2048M", "-smp 2", "-kernel /k",
            "-device vfio-pci,id=hostdev0,sysfsdev=/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001,"
            "display=on,bus=pcie.0,addr=0x12,x-pci-vendor-id=1",
        ),
        {"name": "vm", "boot": BOOT, "cpus": 2, "memory": "2GiB",
         "devices": {"hostdev0": {"mdev": "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "guest": "00:12.0"}}},
        ("x-pci-vendor-id=1",),
    ),
    Machine(
        "Multipass",
        qemu(
            "-bios OVMF.fd", "--enable-kvm", "-cpu host", "-nic tap,ifname=tap-9a,script=no,model=virtio-net-pci,"
            "mac=52:54:00:0d:e0:01", "-device virtio-scsi-pci,id=scsi0", "-drive file=/u.img,if=none,format=qcow2,"
            "discard=unmap,id=hda", "-device scsi-hd,drive=hda,bus=scsi0.0,bootindex=0", "-smp 1", "-m 1024M", "-qmp stdio",
            "-chardev null,id=char0", "-serial chardev:char0", "-nographic", "-cdrom /ci.iso",
        ),
        {"name": "vm", "cpus": 1, "memory": "1GiB",
         "disks": {"hda": {"path": "/u.img", "format": "qcow2", "discard": True, "boot-order": 1}, "ci": {"path": "/ci.iso", "readonly": True}},
         "nics": {"net": {"tap": "tap-9a", "mac": "52:54:00:0d:e0:01"}}},
        ("the bus scsi",), "uefi",
    ),
    Machine(
        "GNS3",
        qemu(
            "-name R-1", "-m 512M", "-smp cpus=1,sockets=1", "-machine smm=off", "-uuid 1", "-serial telnet:127.0.0.1:1",
            "-drive file=/hda.qcow2,if=ide,index=0,media=disk,id=drive0", "-device e1000,mac=0c:1f:00:00:00:00,netdev=g0",
            "-netdev socket,id=g0,udp=127.0.0.1:10,localaddr=127.0.0.1:11", "-net none", "-nographic",
        ),
        {"name": "r-1", "cpus": 1, "memory": "512MiB", "disks": {"drive0": "/hda.qcow2"}},
        ("a bridge connects them", "the bus ide"), "bios",
    ),
    Machine(
        "a unit of systemd",
        "[Unit]\nDescription=build box\n[Service]\nExecStartPre=/usr/bin/true\nExecStart=/usr/bin/qemu-system-x86_64 "
        "-name %p -m 4G -smp 4 -kernel /k -object memory-backend-memfd,id=m,size=4G,hugetlb=on,hugetlbsize=1G,"
        "host-nodes=1,policy=bind -machine memory-backend=m -netdev bridge,id=n,br=br0 "
        "-device virtio-net-pci,netdev=n,host_mtu=9000 -chardev socket,id=s,path=/spdk.sock "
        "-device vhost-user-blk-pci,chardev=s,id=fast\nRestart=always\n",
        {"name": "p", "boot": BOOT, "cpus": 4, "memory": [{"size": "4GiB", "pages": "1GiB", "node": 1}],
         "disks": {"fast": {"socket": "/spdk.sock"}}, "nics": {"n": {"bridge": "br0", "mtu": 9000}}},
        ("the name %p",),
    ),
    Machine(
        "/proc/PID/cmdline",
        "\0".join(["/usr/bin/qemu-system-x86_64", "-name", "a b", "-m", "1.5G", "-kernel", "/k", "-append", "x  'y'",
                   "-netdev", "vhost-user,id=n,chardev=c", "-chardev", "socket,id=c,path=/dpdk,,1.sock",
                   "-device", "virtio-net-pci,netdev=n,mq=on", ""]),
        {"name": "a-b", "boot": BOOT | {"cmdline": "x  'y'"}, "cpus": 1, "memory": "1536MiB",
         "nics": {"n": {"socket": "/dpdk,1.sock"}}},
        ("several queues",),
    ),
)  # fmt: skip

OF_LIBVIRT = (
    Machine(
        "virt-install on Fedora",
        domain(
            "f40", x("metadata", x("libosinfo")), HVM, x("features", "<acpi/>", "<apic/>"), x("cpu mode=host-passthrough"),
            x("clock offset=utc", x("timer name=rtc tickpolicy=catchup")), x("pm", x("suspend-to-mem enabled=no")),
            x("devices", x("emulator", "/usr/bin/qemu-system-x86_64"), file_disk("/img/f40.qcow2"),
              x("controller type=usb model=qemu-xhci"), x("interface type=network", x("source network=default"),
              x("mac address=52:54:00:AA:00:01"), x("model type=virtio")), x("console type=pty"),
              x("channel type=unix"), x("tpm model=tpm-crb"), x("memballoon model=virtio"), x("rng model=virtio")),
            memory="<memory>2097152</memory><currentMemory>2097152</currentMemory>",
        ),
        {"name": "f40", **M2, "disks": {"vda": "/img/f40.qcow2"},
         "nics": {"net": {"bridge": "virbr0", "mac": "52:54:00:aa:00:01"}}},
        ("virtio-rng", "TPM", "an agent"), "bios",
    ),
    Machine(
        "virt-manager, Windows 11",
        domain(
            "Windows 11", x("os firmware=efi", x("type arch=x86_64 machine=q35", "hvm"), x("loader secure=yes type=pflash",
            "/OVMF_CODE.secboot.fd"), x("nvram template=/OVMF_VARS.fd", "/nvram/win11_VARS.fd"), "<bootmenu enable='yes'/>"),
            x("features", "<acpi/>", x("hyperv mode=custom", x("relaxed state=on")), x("smm state=on")),
            x("cpu mode=host-passthrough", x("topology sockets=1 dies=1 cores=1 threads=2")), x("clock offset=localtime"),
            x("on_reboot", "restart"), x("devices", file_disk("/img/w.qcow2", "sda", "sata"),
              x("disk type=file device=cdrom", x("driver type=raw"), x("source file=/iso/w.iso"),
                x("target dev=sdb bus=sata"), "<readonly/>"), x("interface type=network", x("source network=office"),
                x("model type=e1000e")), x("graphics type=spice"), x("video", x("model type=qxl")), x("sound model=ich9"),
              x("redirdev bus=usb type=spicevmc"), x("watchdog model=itco")),
        ),
        {"name": "windows-11", "cpus": {"count": 2, "topology": {"cores": 1, "threads": 2}}, "memory": "2GiB",
         "disks": {"sda": "/img/w.qcow2", "sdb": {"path": "/iso/w.iso", "readonly": True}}},
        ("/nvram/win11_VARS.fd", "Secure Boot", "Hyper-V", "net-info office", "localtime", "no screen", "the bus sata", "a CD drive"), "uefi",
    ),
    Machine(
        "OpenStack Nova",
        domain(
            "instance-00000a1f", x("uuid", "1"), x("sysinfo type=smbios"), HVM, x("cputune", x("shares", "2048")),
            x("cpu mode=host-model", x("topology sockets=2 cores=1 threads=1")),
            x("devices", x("disk type=network device=disk", x("driver type=raw cache=writeback"), x("auth username=cinder"),
              x("source protocol=rbd name=volumes/v1", x("host name=10.0.0.1")), x("target dev=vda bus=virtio")),
              x("interface type=bridge", x("mac address=fa:16:3e:00:00:01"), x("source bridge=br-int"),
                x("virtualport type=openvswitch")), x("serial type=pty"), x("video", x("model type=virtio"))),
        ),
        {"name": "instance-00000a1f", "cpus": {"count": 2, "topology": {"sockets": 2, "cores": 1}}, "memory": "2GiB"},
        ("rbd volumes/v1", "Open vSwitch", "host-model", "SMBIOS", "<shares> of cputune"), "bios",
    ),
    Machine(
        "oVirt",
        domain(
            "db", HVM, x("iothreads", "1"), x("maxMemory slots=16", "8388608"), x("numatune", x("memory mode=strict nodeset=1")),
            x("devices", x("disk type=block device=disk snapshot=no", x("driver type=raw cache=none io=native"),
              x("source dev=/rhev/images/a"), x("target dev=sda bus=scsi"), x("serial", "a1"), x("boot order=1")),
              x("interface type=bridge", x("source bridge=ovirtmgmt"), x("model type=virtio"), x("mtu size=9000"),
                x("filterref filter=vdsm"), x("link state=up"))),
            memory="<memory unit='GiB'>4</memory>", cpus="<vcpu current='2'>16</vcpu>",
        ),
        {"name": "db", "cpus": 2, "memory": [{"size": "4GiB", "node": 1}], "disks": {"sda": {"path": "/rhev/images/a", "boot-order": 1}},
         "nics": {"net": {"bridge": "ovirtmgmt", "mtu": 9000}}},
        ("16 vCPUs at most", "<maxMemory>", "<serial> a1", "libvirt's filters"), "bios",
    ),
    Machine(
        "KubeVirt",
        x("domstatus state=running", domain(
            "default_vm1", LINUX, x("memoryBacking", x("source type=memfd"), x("access mode=shared")),
            x("devices", file_disk("/run/kubevirt/d.qcow2", "vda", "virtio", "qcow2", x("backingStore type=file",
              x("format type=qcow2")), x("alias name=ua-containerdisk")), x("interface type=ethernet",
              x("target dev=tap0 managed=no"), x("model type=virtio-non-transitional"), x("mtu size=1450"),
              x("alias name=ua-default"), x("rom enabled=no")), x("vsock model=virtio", x("cid auto=no address=77"))),
        )),
        {"name": "default-vm1", "boot": BOOT, **M2, "disks": {"vda": "/run/kubevirt/d.qcow2"},
         "nics": {"default": {"tap": "tap0"}}, "vsock": 77},
        ("the name default_vm1",),
    ),
    Machine(
        "Unraid",
        domain(
            "Games", UEFI, x("cputune", *(x(f"vcpupin vcpu={n} cpuset={cpu}") for n, cpu in enumerate((4, 12)))),
            x("memoryBacking", "<nosharepages/>"), x("features", x("kvm", x("hidden state=on"))),
            x("devices", x("filesystem type=mount accessmode=passthrough", x("driver type=virtiofs"),
              x("source dir=/mnt/user/isos"), x("target dir=unraid")), passed("0x01", "0x00", "0x0",
              x("rom file=/roms/2080.rom"), pci("address type=pci", "0x00", "0x10", "0x0")), passed("0x01", "0x00", "0x1"),
              x("hostdev mode=subsystem type=usb", x("source", x("vendor id=0x046d"), x("product id=0xc52b")))),
        ),
        {"name": "games", "cpus": {"count": 2, "pin": [4, 12]}, "memory": "2GiB",
         "devices": {"hostdev": {"pci": "0000:01:00.0", "rom": "/roms/2080.rom", "guest": "00:10.0"},
                     "hostdev-2": "0000:01:00.1"}, "shares": {"unraid": "/mnt/user/isos"}},
        ("cannot be kept from it", "USB controller", "KSM"), "uefi",
    ),
    Machine(
        "vagrant-libvirt",
        domain(
            "box_default", HVM, x("cpu mode=host-model", x("feature policy=optional name=vmx")),
            x("devices", file_disk("/img/box.img", "vda", "virtio"), x("interface type=network",
              x("source network=vagrant-libvirt bridge=virbr1")), x("interface type=udp", x("source address=1 port=2"))),
            memory="<memory>524289</memory>", cpus="<vcpu cpuset='0-3'>1</vcpu>",
        ),
        {"name": "box-default", "cpus": {"count": 1, "nested": True}, "memory": "524292KiB",
         "disks": {"vda": {"path": "/img/box.img", "format": "qcow2"}}, "nics": {"net": {"bridge": "virbr1"}}},
        ("memory is whole pages", "host's CPUs 0-3", "a bridge connects them", "rtl8139"), "bios",
    ),
    Machine(
        "Cockpit, a user's session",
        domain("mine", HVM, x("on_crash", "preserve"), x("devices", x("disk type=volume device=disk",
               x("source pool=default volume=m.qcow2"), x("target dev=vda bus=virtio")), x("interface type=user",
               x("backend type=passt"), x("portForward proto=tcp"), x("model type=virtio")))),
        {"name": "mine", **M2, "nics": {"net": "user"}},
        ("vol-path --pool default m.qcow2", "nobody reaches", "<on_crash> preserve"), "bios",
    ),
    Machine(
        "Terraform's provider",
        domain("node-0", HVM, x("devices", file_disk("/pool/n.vmdk", "vda", "virtio", "vmdk"),
               x("disk type=file device=cdrom", x("source file=/pool/ci.iso"), x("target dev=hdd bus=ide"), "<readonly/>"),
               x("disk type=file device=floppy", x("source file=/f.img"), x("target dev=fda"))), cpus=""),
        {"name": "node-0", "cpus": 1, "memory": "2GiB", "disks": {"hdd": {"path": "/pool/ci.iso", "readonly": True}}},
        ("qemu-img convert -O qcow2 /pool/n.vmdk", "no floppy"), "bios",
    ),
    Machine(
        "SR-IOV on RHEL",
        domain("vf", LINUX, x("devices", x("interface type=hostdev managed=yes", x("mac address=52:54:00:6D:90:02"),
               x("source", pci("address type=pci", "0x3b", "0x02", "0x1")), x("vlan", x("tag id=42"))),
               passed("0x3b", "0x02", "0x2", head="managed=no"))),
        {"name": "vf", "boot": BOOT, **M2,
         "devices": {"net": {"pci": "0000:3b:02.1", "network": {"mac": "52:54:00:6d:90:02", "vlan": 42}},
                     "hostdev": {"pci": "0000:3b:02.2", "bind": "never"}}},
    ),
    Machine(
        "a vGPU, and one of a mainframe",
        domain("vgpu", LINUX, x("devices", x(
            "hostdev mode=subsystem type=mdev model=vfio-pci",
            x("source", x("address uuid=83B8F4F2-509F-382F-3C1E-E6BFE0FA1001")),
            pci("address type=pci", "0x00", "0x12", "0x0"),
        ), x(
            "hostdev mode=subsystem type=mdev model=vfio-ccw",
            x("source", x("address uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1002")),
        ))),
        {"name": "vgpu", "boot": BOOT, **M2,
         "devices": {"mdev": {"mdev": "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "guest": "00:12.0"}}},
        ("a guest finds on its PCI bus",),
    ),
    Machine(
        "DPDK",
        domain(
            "vnf", LINUX, x("memoryBacking", x("hugepages", x("page size=1 unit=G"))),
            x("numatune", x("memnode cellid=0 mode=strict nodeset=0"), x("memnode cellid=1 mode=strict nodeset=1")),
            x("cputune", x("vcpupin vcpu=0 cpuset=2"), x("vcpupin vcpu=1 cpuset=3"), x("emulatorpin cpuset=0")),
            x("cpu mode=host-passthrough", x("numa", x("cell id=0 cpus=0 memory=1 unit=GiB"),
              x("cell id=1 cpus=1 memory=1 unit=GiB"))),
            x("devices", x("interface type=vhostuser", x("source type=unix path=/d0.sock mode=client"),
              x("model type=virtio"), x("driver queues=4")), x("interface type=vhostuser",
              x("source type=unix path=/d1.sock mode=server"))),
        ),
        {"name": "vnf", "boot": BOOT, "cpus": {"count": 2, "pin": "2-3"},
         "memory": [{"size": "1GiB", "pages": "1GiB", "node": 0}, {"size": "1GiB", "pages": "1GiB", "node": 1}],
         "nics": {"net": {"socket": "/d0.sock"}}},
        ("one NUMA node", "let the engine listen", "one pair of queues", "<emulatorpin>"),
    ),
    Machine(
        "a snapshot of one with a kernel of its own",
        x("domainsnapshot", x("name", "before"), domain(
            "lab", x("os", x("type arch=i686", "hvm"), x("kernel", "/k"), x("initrd", "/i"), x("cmdline", "a=b c")),
            x("launchSecurity type=sev"), x("seclabel type=dynamic"), x("commandline", x("arg value=-device"),
              x("arg value=vfio-pci,host=01:00.0,x-igd-opregion=on"), x("arg value=-cpu"), x("arg value=host,kvm=off"),
              x("arg value=-set"), x("arg value=device.hostdev0.x=on")), x("devices", x("disk type=vhostuser",
              x("source type=unix path=/spdk.sock"), x("target dev=vda bus=virtio")), x("disk type=file",
              x("source file=/l.img", x("encryption format=luks")), x("target dev=vdb")), x("filesystem type=mount",
              x("source dir=/srv"), x("target dir=Srv"), "<readonly/>"), x("filesystem type=ram", x("target dir=/t")),
              x("iommu model=intel"), x("shmem name=s"), x("memory model=nvdimm"))),
        ),
        {"name": "lab", "boot": {"kernel": "/k", "initrd": "/i", "cmdline": "a=b c"}, **M2,
         "devices": {"hostdev": "0000:01:00.0"}, "disks": {"vda": {"socket": "/spdk.sock"}}, "shares": {"srv": {"path": "/srv", "readonly": True}}},
        ("SEV", "cryptsetup", "the tag Srv", "no IOMMU", "ivshmem", "NVDIMM", "x-igd-opregion=on", "-cpu host,kvm=off", "-set device.hostdev0"),
    ),
)  # fmt: skip

MACHINES = (*OF_QEMU, *OF_LIBVIRT)
