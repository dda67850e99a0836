#!/bin/busybox sh
# The first process of a lab host: puts the machine's files under a layer of memory, runs /run/lab/command in
# them, leaves its exit status, ends the machine. Whoever finds no status knows that this script did not come to its end.
busybox() { /bin/busybox "$@"; }
lose() { echo "lab: failed to $*"; busybox reboot -f; }
share() { busybox mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$1" "$2" "$3"; }

busybox mkdir -p /proc /sys /dev /files /layer /root
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
for module in $(busybox cat /modules/order); do
	busybox insmod "/modules/$module" || echo "lab: failed to insert $module"
done
modules=
. /settings

share cache=loose,ro files /files || lose "mount the machine's files"
busybox mount -t tmpfs layer /layer
busybox mkdir /layer/upper /layer/work
busybox mount -t overlay -o lowerdir=/files,upperdir=/layer/upper,workdir=/layer/work root /root || lose "lay memory over the machine's files"
for folder in proc sys dev; do
	busybox mkdir -p "/root/$folder"
	busybox mount --move "/$folder" "/root/$folder"
done
busybox mkdir -p /root/run /root/dev/shm /root/dev/pts
busybox mount -t tmpfs run /root/run
busybox mount -t tmpfs shm /root/dev/shm
busybox mount -t devpts pts /root/dev/pts
busybox mkdir /root/run/lab
share cache=none lab /root/run/lab || lose "mount the folder of results"
busybox ip link set lo up
busybox hostname "lab-$name"
if [ -n "$modules" ]; then
	release=$(busybox uname -r)
	busybox mkdir -p /root/lib/modules /root/boot
	busybox ln -sfn "$modules" "/root/lib/modules/$release"
	busybox ln -sfn "$boot/config-$release" "/root/boot/config-$release"
fi

# Nobody below a chroot may make a user name space: what was /root is the root now, and this script's folder.
cd /root || lose "enter the files"
busybox mount --move . / || lose "make the files the root"
results=run/lab
read -r uptime _ <proc/uptime
echo "$uptime $(busybox uname -r)" >$results/ready
busybox chroot . /bin/sh /run/lab/command
status=$?
busybox dmesg >$results/dmesg
echo $status >$results/status.new
busybox mv $results/status.new $results/status
busybox sync
busybox reboot -f
