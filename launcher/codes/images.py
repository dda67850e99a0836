"""Explanations of the codes of planner/rules/disk_*.py and backing.py: images and block devices of a guest."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E600",
        "the image is not there",
        "`disks` names a file or a block device that does not exist. Paths are relative to the spec.",
        "disks: {root: ./no-such.qcow2}",
        "Correct the path, or make the disk: `qemu-img create -f qcow2 root.qcow2 20G`.",
    ),
    Explanation(
        "E601",
        "the image may not be read",
        "The user that plans must be able to read the images of disks, and what they are based on: the plan rests on "
        "their headers.",
        "disks: {root: ./root.qcow2}        # mode 0600, of another user",
        "Give that user the image, or plan as one who may read it.",
    ),
    Explanation(
        "E602",
        "the image cannot be read",
        "It is there and the operating system gives an error: a bad disk, a loop of links.",
        "disks: {root: ./loop}",
        "`sha256sum` of the image shows the error.",
    ),
    Explanation(
        "E603",
        "neither a file nor a block device",
        "A disk is an image in a file, or a block device. A folder is shared (`shares`), and a pipe or a character "
        "device has no sectors. What is in /proc or /sys is made up by the kernel when somebody reads it.",
        "disks: {root: /dev/zero}",
        "Name an image or a block device.",
    ),
    Explanation(
        "E604",
        "a disk of 0 bytes",
        "The image is empty, as after a download that failed, or the drive has no medium in it.",
        "disks: {data: ./empty.img}",
        "Give it a size (`truncate -s 20G data.img`), copy it again, or put the medium in.",
    ),
    Explanation(
        "E605",
        "a disk that is no whole number of sectors",
        "A virtio disk has sectors of 512 bytes; what is behind the last whole one no guest would see. Most often the "
        "file was cut off when it was copied.",
        "disks: {data: ./cut-off.img}",
        "Copy it again, or fill up the last sector: `truncate -s %512 data.img`.",
    ),
    Explanation(
        "E606",
        "a raw disk with a qcow2 header",
        "The name, or `format`, says that the image is a raw disk, and it begins as a qcow2 image does. What a format "
        "is is never taken from the content, for whoever has a raw disk can write a header there that names any file "
        "of the host as its base.",
        "disks: {root: ./root.img}        # made by `qemu-img create -f qcow2 root.img 20G`",
        "Write `format: qcow2` if it was made so. If a guest has had it as a raw disk, the header may be the guest's: "
        "look at it with `qemu-img info` before, and clear its first sector if it is no image of yours.",
    ),
    Explanation(
        "E607",
        "no qcow2 image",
        "The name, `format`, or the image above it says that it is qcow2, and it has no such header.",
        "disks: {root: ./root.qcow2}        # a raw disk",
        "Write `format: raw` if it is a raw disk. An image of another program is converted with `qemu-img convert`.",
    ),
    Explanation(
        "E608",
        "a disk of another program as a raw disk",
        "VMDK, VDI, VHD, VHDX, QED and Parallels images have headers and tables, which a guest would see in place of "
        "its data.",
        "disks: {root: ./root.vmdk}",
        "Convert it: `qemu-img convert -p -O qcow2 root.vmdk root.qcow2`.",
    ),
    Explanation(
        "E609",
        "a qcow2 image that contradicts itself",
        "Its header, or a list that is read with it, says what cannot be: tables outside of the file or one over the "
        "other, sizes that are too large, snapshots or bitmaps that are broken. QEMU does not open such an image, or "
        "stops at the first write. Most often the file was cut off.",
        "disks: {root: ./half.qcow2}",
        "Copy it again.",
    ),
    Explanation(
        "E610",
        "a qcow2 image that is marked corrupt",
        "The program that served it last found that its tables contradict each other, and marked it. It can be read "
        "only.",
        "disks: {root: ./root.qcow2}",
        "Copy it, then `qemu-img check -r all root.qcow2`.",
    ),
    Explanation(
        "E611",
        "an encrypted qcow2 image",
        "The image itself is encrypted, and a spec has no place for its key.",
        "disks: {root: ./secret.qcow2}",
        "Decrypt it with `qemu-img convert`, on an encrypted file system if need be; or let the guest encrypt its "
        "disk.",
    ),
    Explanation(
        "E612",
        "a qcow2 image with its data in another file",
        "The header names an external data file, which would have to be opened by the name that stands there.",
        "disks: {root: ./root.qcow2}        # made with -o data_file=root.raw",
        "Put both into one: `qemu-img convert -O qcow2 root.qcow2 whole.qcow2`.",
    ),
    Explanation(
        "E613",
        "a qcow2 image with features that are not known",
        "Its header has incompatible features that came after this vmlaunch, and says that who does not know them must "
        "not open it.",
        "disks: {root: ./new.qcow2}",
        "Convert it with the qemu-img that made it: `qemu-img convert -O qcow2 -o compat=1.1 new.qcow2 root.qcow2`.",
    ),
    Explanation(
        "E614",
        "a backing file that is not there",
        "A qcow2 image may have only what differs from another one, its backing file. That one, or one that it is "
        "based on in turn, is gone. A name without / in front is looked for beside the image that has it.",
        "disks: {root: ./snapshot.qcow2}        # base.qcow2 was moved",
        "Put it back, or say where it is: `qemu-img rebase -u -F qcow2 -b /new/base.qcow2 snapshot.qcow2`.",
    ),
    Explanation(
        "E615",
        "a backing chain without an end",
        "The images name each other in a circle, or there are more than 64 of them.",
        "disks: {root: ./a.qcow2}        # based on b.qcow2, which is based on a.qcow2",
        "Name the right one with `qemu-img rebase -u`, or make one image of all with `qemu-img convert`.",
    ),
    Explanation(
        "E616",
        "a backing file that is not served",
        "It is no file (nbd:, json:), or of a format that is neither raw nor qcow2; or its format is not said, and it "
        "begins as a qcow2 image does. Then nobody can tell an image that was made so from a raw disk whose guest has "
        "written such a header, and QEMU has refused since 6.1 to make images that do not say it.",
        "disks: {root: ./old.qcow2}        # made without -F",
        "`qemu-img rebase -u -F qcow2 -b base.qcow2 old.qcow2`, with `-F raw` if the base is a raw disk.",
    ),
    Explanation(
        "E617",
        "an image that somebody else has",
        "Another process has locked it, as QEMU and its tools do: it writes it, or wants nobody else to. Two that "
        "write one image destroy the file systems on it. Of a raw image two storage daemons do not refuse each other.",
        "disks: {root: ./root.qcow2}        # while another VM runs with it",
        "Stop the other one. Several VMs can have one image if each has it with `readonly: true`.",
    ),
    Explanation(
        "E618",
        "a disk that this host uses",
        "The block device, or a partition of it, is mounted, is swap, or holds a volume; or the file is what a loop "
        "device is made of. What host and guest write at once is destroyed.",
        "disks: {data: /dev/sda1}        # mounted on /home",
        "Unmount it, or take another one.",
    ),
    Explanation(
        "W618",
        "a disk that this host uses, and the guest reads",
        "The guest only reads it, and the host may write it meanwhile: the guest's file system has parts of two "
        "states.",
        "disks: {data: {path: /dev/sda1, readonly: true}}        # mounted on /home",
        "Unmount it, or mount it read-only.",
    ),
    Explanation(
        "E619",
        "a disk on a device that is passed",
        "The guest gets the drive itself, by `devices`, and then the host has nothing that an engine could open.",
        "devices: {drive: 0000:02:00.0}\ndisks: {data: /dev/nvme0n1p3}        # of that drive",
        "Take one of the two out.",
    ),
    Explanation(
        "E620",
        "one image for two disks",
        "Two disks have the same image, by another name or as a base, and one of them writes it.",
        "disks: {root: ./root.qcow2, again: ./link-to-root.qcow2}",
        "Give each an image of its own, or write `readonly: true` for both.",
    ),
    Explanation(
        "E621",
        "an image that its engine may not open",
        "The program that serves disks has no capability. For root's VM it runs as the owner of the image, else as the "
        "user that runs the VM; and that user may not write or read it, or what it is based on.",
        "disks: {root: ./root.qcow2}        # of another user, mode 0600",
        "Run the command that the message shows, or write `readonly: true` where reading is enough.",
    ),
    Explanation(
        "E622",
        "a disk that cannot be written",
        "The device can only be read, or the file system of the image is mounted read-only.",
        "disks: {cd: /dev/sr0}",
        "Write `readonly: true`.",
    ),
    Explanation(
        "W622",
        "an ISO image that the guest may write",
        "A guest that writes to it, even by accident, changes the image for everybody.",
        "disks: {cd: ./debian.iso}",
        "Write `readonly: true`.",
    ),
    Explanation(
        "E623",
        "no space left for what a guest writes",
        "The image takes more of its file system as the guest writes it, and there is nothing left.",
        "disks: {root: ./root.qcow2}        # on a full file system",
        "Make room, or move the image.",
    ),
    Explanation(
        "W623",
        "less space than the guest may write",
        "Images that are not written yet take less than their size. All of them together may become larger than what "
        "is left of their file system; the guest's writes then fail.",
        "disks: {root: ./root.qcow2}        # of 100 GiB, where 20 GiB are left",
        "Make room, move the image, or know how much the guest writes.",
    ),
    Explanation(
        "W624",
        "a disk in memory",
        "The image is on tmpfs: it takes memory of the host as it grows, and is gone when the host ends.",
        "disks: {root: /dev/shm/root.qcow2}",
        "Put it on a disk, if it is to stay.",
    ),
    Explanation(
        "W608",
        "a disk that looks packed",
        "The file begins as a compressed file or a package does. As a raw disk the guest would see just these bytes.",
        "disks: {root: ./debian.raw.xz}",
        "Unpack it: `xzcat debian.raw.xz > debian.raw`.",
    ),
    Explanation(
        "W610",
        "a qcow2 image that was not closed",
        "Whoever served it last died before it could say that its tables are whole. They are checked when it is "
        "opened, which takes its time for a large image.",
        "disks: {root: ./root.qcow2}        # after a power failure",
        "`qemu-img check -r all root.qcow2`, or nothing.",
    ),
)
