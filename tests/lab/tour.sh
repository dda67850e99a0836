#!/bin/busybox sh
# tour WORD...: in the Linux guest of a whole machine, uses what the words name and says what came of it.
# Disks are vda and vdb, networks at 00:03.0 and 00:04.0, the share is `work`; the host answers at port 4712.
mkdir -p /tmp

# What is read of a disk comes from the host, as its page cache was dropped.
disks() {
	echo 3 >/proc/sys/vm/drop_caches
	for one in vda vdb; do
		echo "$one has $(cat /sys/block/$one/size) sectors, readonly $(cat /sys/block/$one/ro)"
		sha256sum /dev/$one
	done
}

write() {
	dd if=/dev/urandom of=/tmp/written bs=64k count=4 2>/dev/null
	for one in vda vdb; do
		dd if=/tmp/written of=/dev/$one bs=64k oflag=direct 2>/dev/null
	done
	sync
	sha256sum /tmp/written
}

start_of_first() {
	dd if=/dev/vda of=/tmp/read bs=64k count=4 iflag=direct 2>/dev/null
	sha256sum /tmp/read
}

card() {
	card=$(basename /sys/bus/pci/devices/0000:"$1"/virtio*/net/*)
	ip addr add "$2.2/24" dev "$card"
	ip link set "$card" up
}

net() {
	ping -I "$card" -c 5 -i 0.2 -w 60 -q "$1.1"
	talk trips "$1.1" 4712 20
	talk send "$1.1" 4712 1
	talk take "$1.1" 4712 1
	ip -s link show "$card"
}

lan() { card 00:03.0 10.8.0 && net 10.8.0; }
mgmt() { card 00:04.0 10.9.0 && net 10.9.0; }

# An address by DHCP, and what it is good for.
leased() {
	card=$(basename /sys/bus/pci/devices/0000:00:02.0/virtio*/net/*)
	ip link set "$card" up
	udhcpc -i "$card" -n -q -t 20 -s /bin/tour
	talk trips 10.6.0.2 4712 20
	talk send 10.6.0.2 4712 1
	talk take 10.6.0.2 4712 1
}

# udhcpc's words: what happened, and the rest in the environment.
deconfig() { ip addr flush dev "$interface"; }
bound() {
	ip addr add "$ip/$mask" dev "$interface"
	ip route add default via "$router"
	echo "leased $ip/$mask via $router dns $dns"
}

share() {
	mkdir -p /work
	mount -t virtiofs work /work
	sha256sum /work/from-host
	cp /work/from-host /work/from-guest
	umount /work
}

vsock() { talk trips host 4712 20; }

drive() { dd if=/dev/nvme0n1 of=/dev/null bs=64k count=4 iflag=direct 2>&1; }

for way in "$@"; do
	$way
done
[ -n "$interface" ] || echo "toured $#" # udhcpc sets it
