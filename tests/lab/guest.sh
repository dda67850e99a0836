#!/bin/busybox sh
# The first process of a Linux guest: says that it is there, then does what comes in on the serial console, line by line.
busybox() { /bin/busybox "$@"; }
busybox mkdir -p /proc /sys /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
busybox --install -s /bin
read -r uptime _ </proc/uptime
echo "init at $uptime"
stty -echo </dev/console 2>/dev/null
while read -r line; do
	case $line in
	reboot | poweroff) "$line" -f; busybox sleep 1000 ;;
	*) eval "$line" ;;
	esac
done
echo "the console has no more to say"
poweroff -f
