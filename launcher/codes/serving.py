"""Explanations of the codes of planner/rules/engines.py, nics.py, vhost.py and shares.py."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E630",
        "an engine is not installed",
        "Disks are served by qemu-storage-daemon, shares by virtiofsd, networks without rights by passt. Each is "
        "looked for where packages put it, and not in PATH.",
        "disks: {root: ./root.qcow2}        # without qemu-storage-daemon",
        "Install the package that the message names. qemu-storage-daemon is in qemu-utils since Debian 13.",
    ),
    Explanation(
        "E631",
        "an engine that others can change",
        "The program belongs to somebody who may do less than the user that runs the VM, or others may write it: it "
        "would be started with what it serves.",
        "shares: {work: ./src}        # virtiofsd of mode 0775",
        "`chown root:root` and `chmod go-w` it, or install it from its package.",
    ),
    Explanation(
        "E632",
        "an engine without vhost-user",
        "Guests are connected to engines by vhost-user. passt has it since the releases of 2025, and that of Debian 12 "
        "is of 2023. qemu-storage-daemon has it since 5.2, and some distributions build it without.",
        "nics: {inet: user}        # on Debian 12",
        "Install passt 2025_02_17 or later, or take `bridge:` or `tap:`.",
    ),
    Explanation(
        "E633",
        "a virtiofsd that does not say which it is",
        "There are two programs of that name, QEMU's in C and a later one in Rust, with options of their own. By "
        "`--version` they are told apart, and this one did not answer.",
        "shares: {work: ./src}",
        "Run `virtiofsd --version` by hand: it says what is missing. Or install it again.",
    ),
    Explanation(
        "E634",
        "the interfaces of another network namespace",
        "/sys shows the interfaces of the network namespace that it was mounted in. This process is in another one, so "
        "what is known of bridges and taps is not what it could join.",
        "nics: {lan: {bridge: br0}}        # behind `unshare --net`",
        "Enter the namespace by `ip netns exec NAME`, which mounts a /sys of its own, or mount one.",
    ),
    Explanation(
        "E635",
        "no such bridge",
        "`bridge` names a network interface that this host has not.",
        "nics: {lan: {bridge: br7}}",
        "Name a bridge that is there, or make it: `ip link add br7 type bridge && ip link set br7 up`.",
    ),
    Explanation(
        "E636",
        "no bridge",
        "The interface is there, and is a card, a tap or something else. Only bridges have ports that can be added.",
        "nics: {lan: {bridge: eth0}}",
        "Name the bridge. A card is made a port of one: `ip link set eth0 master br0`.",
    ),
    Explanation(
        "W635",
        "a bridge that puts a guest in no VLAN",
        "It filters VLANs, and a port that joins is in none (`vlan_default_pvid 0`): what the guest sends is dropped.",
        "nics: {lan: {bridge: br0}}  # after `ip link set br0 type bridge vlan_filtering 1 vlan_default_pvid 0`",
        "Make a tap, put it in the bridge and, by `bridge vlan add`, in its VLAN, and write `tap:` for it. Or let the "
        "bridge give new ports a VLAN.",
    ),
    Explanation(
        "W636",
        "a bridge that is down",
        "It forwards nothing until it is up.",
        "nics: {lan: {bridge: br0}}        # after `ip link set br0 down`",
        "`ip link set br0 up`.",
    ),
    Explanation(
        "E637",
        "no such tap",
        "`tap` names a tap that an administrator has made, and there is none of that name.",
        "nics: {lan: {tap: vmtap0}}",
        "As root: `ip tuntap add dev vmtap0 mode tap user 1000`. With `bridge:` one is made on up.",
    ),
    Explanation(
        "E638",
        "no tap for a NIC",
        "The interface is a tun, which has packets and no Ethernet frames, or something else; or it was made with "
        "several queues, and a NIC has one pair of them.",
        "nics: {lan: {tap: tun0}}",
        "Make a tap: `ip tuntap add dev vmtap0 mode tap user 1000`.",
    ),
    Explanation(
        "E639",
        "a tap that another process has",
        "A tap with one queue can be opened once.",
        "nics: {lan: {tap: vmtap0}}        # which another VM has",
        "Stop the other one, or make another tap.",
    ),
    Explanation(
        "W639",
        "a tap that is down",
        "It passes nothing on until it is up, and who may open it may not do that.",
        "nics: {lan: {tap: vmtap0}}        # after `ip link set vmtap0 down`",
        "As root: `ip link set vmtap0 up`.",
    ),
    Explanation(
        "E640",
        "a tap of somebody else",
        "It was made for another user or group (TUNSETOWNER, TUNSETGROUP).",
        "nics: {lan: {tap: vmtap0}}        # made for uid 1001",
        "Make it anew for this user, as root.",
    ),
    Explanation(
        "E642",
        "a part of the kernel is not there",
        "NICs need /dev/net/tun and /dev/vhost-net, sockets between guest and host /dev/vhost-vsock.",
        "vsock: true        # in a container",
        "Load the module that the message names, or give the container the node.",
    ),
    Explanation(
        "E643",
        "a part of the kernel is denied",
        "The node is there, and this user may not open it.",
        "nics: {lan: {tap: vmtap0}}        # as a user outside the group kvm",
        "As root: `setfacl -m u:1000:rw /dev/vhost-net`; or join the group that has it, and log in again.",
    ),
    Explanation(
        "E644",
        "a bridge takes rights",
        "Making a tap and joining it to a bridge takes CAP_NET_ADMIN, which ordinary users have not.",
        "nics: {lan: {bridge: br0}}        # as uid 1000",
        "Have an administrator make a tap for this user, and name it with `tap:`; write `user`, a network that needs "
        "no rights; or run `up` as root.",
    ),
    Explanation(
        "E646",
        "a MAC that another VM has",
        "A VM of this user that is up has a NIC with the same address. On one network neither of them is reached.",
        "nics: {lan: {bridge: br0, mac: 52:54:00:aa:00:01}}        # in two specs",
        "Leave `mac` out: it then follows from the names of VM and NIC. Or write another one.",
    ),
    Explanation(
        "E647",
        "the MAC of this host",
        "The bridge, or a card that is a port of it, has that address, and the host keeps what is sent there.",
        "nics: {lan: {bridge: br0, mac: 02:00:00:00:00:01}}        # the bridge's own",
        "Leave `mac` out, or write another one.",
    ),
    Explanation(
        "E648",
        "a context id that another VM has",
        "A context id is one VM's on a host: the kernel answers EADDRINUSE.",
        "vsock: 42        # in two specs",
        "Write another number, or `vsock: true`, which follows from the name of the VM.",
    ),
    Explanation(
        "E649",
        "no place for a BAR",
        "Each disk, NIC, share and vsock has a BAR of 32 KiB below 4 GiB, where BARs of passed devices are, too, and "
        "the IOMMU may reserve more.",
        "devices: {a: 0000:c1:00.0, b: 0000:c2:00.0}        # with BARs that fill it\ndisks: {root: ./root.qcow2}",
        "Pass fewer devices with large 32-bit BARs.",
    ),
    Explanation(
        "E650",
        "nobody listens",
        "`socket` names the socket of an engine of yours, and it is not there.",
        "disks: {fast: {socket: /run/spdk.sock}}",
        "Start the engine before `up`.",
    ),
    Explanation(
        "W650",
        "an engine of another user",
        "The socket belongs to a user who is neither root nor the one that runs the VM. Who listens there gets all of "
        "the guest's memory to read and write, and what a disk or a NIC brings is what that user wants.",
        "disks: {fast: {socket: /home/ann/spdk.sock}}        # of uid 1000, in root's VM",
        "Start the engine as root, or as the user that runs the VM; or run the VM as that user.",
    ),
    Explanation(
        "E651",
        "no socket",
        "The path is there and is something else.",
        "disks: {fast: {socket: ./disk.img}}",
        "Name the socket; an image is named by `path`.",
    ),
    Explanation(
        "E652",
        "an engine that may not be talked to",
        "Connecting to a socket takes the right to write it.",
        "disks: {fast: {socket: /run/spdk.sock}}        # of root, mode 0600",
        "As root: `setfacl -m u:1000:rw /run/spdk.sock`, or start the engine as this user.",
    ),
    Explanation(
        "E653",
        "the shared folder is not there",
        "Paths are relative to the spec.",
        "shares: {work: ./no-such}",
        "Make it, or correct the path.",
    ),
    Explanation(
        "E654",
        "no folder",
        "A share is a folder. A file is in one, or is a disk; /proc, /sys and their like are the kernel's "
        "words, and hold none.",
        "shares: {work: ./root.qcow2}",
        "Name the folder, or write it below `disks`.",
    ),
    Explanation(
        "W654",
        "a share that has an image or the spec in it",
        "The guest writes the folder in which the image of one of its disks is. It can put another one there, whose "
        "header or name leads to any file of the host that the engine may read, and the next `up` serves that. Of a "
        "spec that it has written the next `up` does whatever that says.",
        "disks: {root: ./vm/root.qcow2}\nshares: {work: ./vm}",
        "Keep images and specs in a folder that no guest writes, or write `readonly: true` for the share.",
    ),
    Explanation(
        "E655",
        "a folder that its engine may not enter",
        "virtiofsd runs as the folder's owner for root's VM, else as the user that runs it, and may not read or write "
        "it, or may not pass a folder on the way there.",
        "shares: {work: /srv/src}        # of root, as uid 1000",
        "Run the command that the message shows, or share another folder.",
    ),
    Explanation(
        "E656",
        "a share that cannot be written",
        "Its file system is mounted read-only.",
        "shares: {cd: /media/cdrom}",
        "Write `readonly: true`.",
    ),
    Explanation(
        "W656",
        "a share of root's that the guest writes",
        "In the guest, root is the folder's owner. Where that is root, what the guest leaves there is root's, programs "
        "with the setuid bit as well: a user of the host who runs one is root. In /, /etc and other folders of the "
        "host's own it takes no user.",
        "shares: {work: /srv/work}        # which belongs to root",
        "Write `readonly: true`, give the folder to a user, or mount its file system with nosuid. In place of a folder "
        "of the host's own share one that is made for the guest.",
    ),
    Explanation(
        "E657",
        "no user namespace for an engine",
        "virtiofsd is root of a user namespace, passt shuts itself into one, and what root starts lives in one. This "
        "host allows none, or none to ordinary users, or the kernel refused one when it was asked.",
        "shares: {work: ./src}        # with kernel.apparmor_restrict_unprivileged_userns=1",
        "Set the sysctl that the message names, or run `up` as root. Below chroot(2) the kernel makes none, nor "
        "where a container engine's filter forbids it: run it outside, or have the filter let it pass.",
    ),
    Explanation(
        "W657",
        "shared memory without huge pages",
        "Engines map the guest's memory, which is a file in memory for that. It has huge pages by a setting of the "
        "host; without, where it is populated at the start (with devices, or `pages: thp`) and Linux is 6.1 or later, "
        "or where it is not and this process may mount a file system for it, as root or in a user name space. "
        "Without them pinning and running are slower.",
        "disks: {root: ./root.qcow2}\ndevices: {gpu: 0000:01:00.0}        # on Linux 5.15",
        "Set the setting that the message shows, or reserve huge pages and write `pages: 2MiB`.",
    ),
    Explanation(
        "E658",
        "memory larger than a file may be",
        "Engines map the guest's memory, which is a file in memory for that, and `ulimit -f` bounds files.",
        "disks: {root: ./root.qcow2}\nmemory: 64GiB        # with `ulimit -f` of 1 GiB",
        "`ulimit -f unlimited`, or LimitFSIZE=infinity in the systemd service.",
    ),
    Explanation(
        "E659",
        "more pieces of memory than an engine takes",
        "An engine is told of the guest's memory piece by piece, 8 of them by vhost-user and as many to vhost in the "
        "kernel as its max_mem_regions says, 64 usually. Each bank is a piece, or several where BARs or addresses that "
        "the IOMMU reserves are in its way.",
        "disks: {root: ./root.qcow2}\nmemory: [{size: 1GiB}, {size: 1GiB}, ...]        # nine banks",
        "Have fewer banks: several that have the same pages and node may as well be one.",
    ),
    Explanation(
        "W659",
        "a NIC with another MTU than its bridge",
        "A port with a smaller MTU lowers that of the bridge itself, unless an administrator has set it; from one with "
        "a larger MTU come frames that no other port takes.",
        "nics: {lan: {bridge: br0, mtu: 9000}}        # where br0 has 1500",
        "Leave `mtu` out: the NIC has then what the bridge has. Or give the bridge and its card the same.",
    ),
)
