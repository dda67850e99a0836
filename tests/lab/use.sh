#!/bin/busybox sh
# use GUEST-ADDRESS WORD...: in a Linux guest, uses the device in the ways that the words name, says what came of it, who
# drives it and how often its interrupts fired. What comes in its own time (a disk, a link) is waited for a minute.
address=0000:$1
device=/sys/bus/pci/devices/$address
shift
mkdir -p /tmp

block() {
	for one in /sys/block/*; do
		case $(readlink -f "$one") in */"$address"/*) echo "/dev/${one##*/}" ;; esac
	done
}

# What is written is read again, past the caches.
disk() {
	for _ in $(seq 60); do
		[ -n "$(block)" ] && break
		sleep 1
	done
	dd if=/dev/urandom of=/tmp/written bs=64k count=4 2>/dev/null
	dd if=/tmp/written "of=$(block)" bs=64k oflag=direct 2>/dev/null
	dd "if=$(block)" of=/tmp/read bs=64k count=4 iflag=direct 2>/dev/null
	cmp /tmp/written /tmp/read && echo "compared $(wc -c </tmp/read) bytes"
}

# With the host's card; all cards are on one cable, so the others are down.
talk() {
	card=$(ls -d "$device"/net/* "$device"/virtio*/net/* 2>/dev/null)
	card=${card##*/}
	ip addr add 10.7.0.2/24 dev "$card"
	ip link set "$card" up
	for _ in $(seq 60); do
		[ "$(cat "/sys/class/net/$card/carrier")" = 1 ] && break
		sleep 1
	done
	ping -I "$card" -c 10 -i 0.2 -w 60 -q 10.7.0.1
}

serial() { echo "serial $(cat "$device"/nvme/nvme*/serial)"; }
random() { echo "$(dd if=/dev/hwrng bs=16 count=4 2>/dev/null | wc -c) bytes of $(cat /sys/class/misc/hw_random/rng_current)"; }

usb() { cat /sys/bus/usb/devices/*/product; }

# Nobody drives it here: a word in its picture, and the number of its register set.
picture() {
	echo 1 >"$device/enable"
	words "$device/resource0" 0x8000 0x600df00d
	words "$device/resource0" 0x8000
	words "$device/resource2" 0x500
}

for way in "$@"; do
	$way
done
echo "driver $(basename "$(readlink "$device/driver")")"
for number in $(ls "$device/msi_irqs" 2>/dev/null || cat "$device/irq"); do
	grep "^ *$number:" /proc/interrupts
done
[ -z "$card" ] || ip link set "$card" down
echo "used $address"
