#!/bin/sh
# In the new system's own root: its settings, and in /made what a disk has beside the root file system: a partition table,
# GRUB for both firmwares. By numbers and files alone: nothing is mounted, no loop device is needed.
set -eu
cd /made

# What a distribution's image has settled. systemd finds the serial port's login by the kernel's console.
echo debian >/etc/hostname
echo 'PARTLABEL=root / ext4 defaults 0 0' >/etc/fstab
rm -f /etc/ssh/ssh_host_*
ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
systemctl enable -q systemd-networkd ssh cloud-init-local cloud-config cloud-final
for name in cloud-init cloud-init-main cloud-init-network; do # the first is Debian 12's, the others are Debian 13's
	[ ! -e "/lib/systemd/system/$name.service" ] || systemctl enable -q "$name"
done
# Emulation makes a second of work a minute: what no test looks at is left out. So is a machine's first boot, in which
# systemd settles anew which of all units are enabled.
systemctl mask -q systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap fstrim.timer motd-news.timer systemd-binfmt systemd-journal-flush systemd-update-utmp \
	systemd-update-utmp-runlevel systemd-pstore systemd-rfkill systemd-sysusers systemd-hwdb-update \
	systemd-tmpfiles-clean.timer systemd-random-seed systemd-modules-load systemd-network-generator kmod-static-nodes \
	modprobe@configfs modprobe@dm_mod modprobe@drm modprobe@fuse modprobe@loop proc-sys-fs-binfmt_misc.automount \
	sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount getty@tty1
mkdir -p /etc/systemd/system-generators
for name in bless-boot cryptsetup debug gpt-auto hibernate-resume integritysetup rc-local run system-update sysv veritysetup; do
	ln -s /dev/null "/etc/systemd/system-generators/systemd-$name-generator"
done
echo 2f1d5e7b9a3c4680b1d2e3f405162738 >/etc/machine-id
# A third of what the kernel has, and all that a unit waits for: disks, cards, the power button, the serial port.
mkdir -p /etc/systemd/system/systemd-udev-trigger.service.d
cat >/etc/systemd/system/systemd-udev-trigger.service.d/few.conf <<-'END'
	[Service]
	ExecStart=
	ExecStart=-udevadm trigger --action=add --subsystem-match=tty --sysname-match=ttyS0
	ExecStart=-udevadm trigger --action=add -s block -s net -s input -s pci -s virtio
	ExecStart=-udevadm trigger --action=add -s acpi --sysname-match=LNXPWRBN*
END
# The serial port's login is given up when the port is not there in 90 seconds, and a login after 60.
mkdir -p /etc/systemd/system.conf.d
cat >/etc/systemd/system.conf.d/patient.conf <<-'END'
	[Manager]
	DefaultTimeoutStartSec=30min
	DefaultDeviceTimeoutSec=30min
END
sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 1800/' /etc/login.defs
printf '#!/bin/sh\n' >/usr/lib/cloud-init/ds-identify # looks for clouds; which there are stands below
cat >/etc/cloud/cloud.cfg.d/99-small.cfg <<-'END'
	datasource_list: [NoCloud, None]
	cloud_init_modules: [write-files, growpart, resizefs, set_hostname, update_etc_hosts, users-groups, ssh]
	manage_etc_hosts: true
	cloud_config_modules: [set-passwords, runcmd]
	cloud_final_modules: [scripts-user, final-message]
	ssh_genkeytypes: [ed25519]
	ssh: {emit_keys_to_console: false}
	ssh_quiet_keygen: true
	apt: {preserve_sources_list: true}
	system_info: {network: {renderers: [networkd]}}
END

# GRUB finds its folder on the third partition of the disk that it was read from, whichever firmware did.
modules="normal configfile part_gpt ext2 linux serial terminal echo test sleep reboot halt minicmd ls"
grub-mkimage -O x86_64-efi -p '(,gpt3)/boot/grub' -o BOOTX64.EFI $modules fat chain efifwsetup efi_gop
grub-mkimage -O i386-pc -p '(,gpt3)/boot/grub' -o core.img $modules biosdisk
cp /usr/lib/grub/i386-pc/boot.img boot.img
release=$(cd /lib/modules && echo *)
mkdir -p /boot/grub
cat >/boot/grub/grub.cfg <<-END
	serial --unit=0 --speed=115200
	terminal_input serial
	terminal_output serial
	set timeout=2
	set gfxpayload=keep # a display that the firmware has set up stays as it is
	menuentry 'Debian GNU/Linux' {
		linux /boot/vmlinuz-$release root=PARTLABEL=root ro console=ttyS0,115200 quiet mitigations=off
		initrd /boot/initrd.img-$release
	}
	menuentry 'Debian GNU/Linux, without an initrd' {
		linux /boot/vmlinuz-$release root=PARTLABEL=root ro console=ttyS0,115200 quiet mitigations=off
	}
END

truncate -s 16M esp
mkfs.vfat -n ESP esp >/dev/null
mmd -i esp ::EFI ::EFI/BOOT ::EFI/debian
mcopy -i esp BOOTX64.EFI ::EFI/BOOT/BOOTX64.EFI
mcopy -i esp BOOTX64.EFI ::EFI/debian/grubx64.efi
truncate -s "$1" disk
sfdisk -q disk <<-'END'
	label: gpt
	start=2048, size=2048, name=bios, type=21686148-6449-6E6F-744E-656564454649
	start=4096, size=32768, name=esp, type=uefi
	start=36864, name=root, type=linux
END
