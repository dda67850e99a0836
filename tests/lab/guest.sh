#!/bin/busybox sh
# The first process of a Linux guest: says that it is there, then does what comes in on the serial console, line by line.
busybox() { /bin/busybox "$@"; }
busybox mkdir -p /proc /sys /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
busybox --install -s /bin
for module in $(cat /modules/order 2>/dev/null); do
	insmod "/modules/$module"
done

# There is no init to ask: the kernel does it at once.
reboot() { busybox reboot -f; }
poweroff() { busybox poweroff -f; }

# Debian's busybox has no lspci: one line for each function, as busybox prints it elsewhere.
lspci() {
	for function in /sys/bus/pci/devices/*; do
		read -r class <"$function/class" && read -r vendor <"$function/vendor" && read -r device <"$function/device"
		class=${class#0x} driver=$(busybox readlink "$function/driver")
		echo "${function##*/0000:} Class ${class%??}: ${vendor#0x}:${device#0x}${driver:+ ${driver##*/}}"
	done
}

read -r uptime _ </proc/uptime
stty -echo </dev/console 2>/dev/null # before anybody knows that there is somebody to write to: it may drop what came
echo "init at $uptime"
while read -r line; do
	eval "$line"
done
echo "the console has no more to say"
poweroff -f
