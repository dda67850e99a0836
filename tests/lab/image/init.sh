#!/bin/busybox sh
# The initrd of the test image: inserts the drivers of disks that the kernel has as modules, and goes on in the partition
# that is named root. Debian's own initramfs does more, which takes emulation a minute.
busybox() { /bin/busybox "$@"; }
busybox mkdir -p /proc /sys /dev /root
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
for module in $(busybox cat /modules/order); do
	busybox insmod "/modules/$module"
done
for _ in $(busybox seq 600); do
	found=$(busybox grep -lx PARTNAME=root /sys/class/block/*/uevent) && break
	busybox sleep 0.1 # a drive that is slow to answer
done
found=${found%%/uevent*}
read -r uptime _ </proc/uptime
echo "init at $uptime" # for whoever measures
busybox mount -t ext4 -o ro "/dev/${found##*/}" /root || echo "initrd: failed to mount the root file system from ${found:-nowhere}"
busybox mount --move /dev /root/dev
busybox umount /sys /proc
exec /bin/busybox switch_root /root /sbin/init
