"""What hosts build on their disks, as Linux shows it: which function each stack ends at, and at which it does not."""

from __future__ import annotations

import pytest

from launcher.host.blocks import block_uses, read_owners
from launcher.host.tree import Recorded
from tests.unit.host.trees import tree

BLOCK, UDEV = "/sys/class/block", "/run/udev/data"
FAST, SLOW = "0000:04:00.0", "0000:05:00.0"  # an NVMe drive, and an adapter with disks
MOUNTS = "/proc/self/mountinfo"


def stack(
    *upper: str,
    holds: dict[str, str] | None = None,
    kinds: dict[str, str] | None = None,
    mounts: tuple[str, ...] = (),
    texts: dict[str, str] | None = None,
    links: dict[str, str] | None = None,
) -> Recorded:
    """nvme0n1 with p1 to p3 is the drive's, sda with sda1 and sdb are the adapter's; `upper` are virtual devices.

    `holds`: a device and those on it. `kinds`: what udev says. `mounts`: `DEVICE POINT KIND SOURCE [OPTIONS]`.
    """
    places = {f"nvme0n1{part}": f"{FAST}/nvme/nvme0/nvme0n1" for part in ("", "p1", "p2", "p3")}
    places |= {f"sda{part}": f"{SLOW}/ata1/host0/target0:0:0/0:0:0:0/block/sda" for part in ("", "1")}
    places |= {"sdb": f"{SLOW}/ata2/host1/target1:0:0/1:0:0:0/block/sdb"}
    names = (*places, *upper)
    numbers = {name: f"259:{minor}" for minor, name in enumerate(names)}
    own = {f"{BLOCK}/{name}": f"../../devices/pci0000:00/0000:00:01.1/{place}" for name, place in places.items()}
    own |= {f"{BLOCK}/{name}": f"../../devices/virtual/block/{name}" for name in upper}
    for below, above in (holds or {}).items():
        own |= {f"{BLOCK}/{below}/holders/{one}": "x" for one in above.split()}
    found = {f"{BLOCK}/{name}/dev": number for name, number in numbers.items()}
    found |= {f"{UDEV}/b{numbers[name]}": f"E:ID_FS_TYPE={kind}" for name, kind in (kinds or {}).items()}
    lines = (_line(number, one, numbers) for number, one in enumerate(mounts, 30))
    return tree(found | {MOUNTS: "\n".join(lines)} | (texts or {}), own | (links or {}))


def _line(number: int, one: str, numbers: dict[str, str]) -> str:
    device, point, kind, source, *options = one.split()
    return f"{number} 1 {numbers.get(device, '0:47')} / {point} rw - {kind} {source} {','.join(('rw', *options))}"


def ends_at(machine: Recorded) -> dict[str, list[str]]:
    """By function, what is lost with it: without the devices in between."""
    found: dict[str, list[str]] = {}
    for address, use in block_uses(machine, read_owners(machine)):
        if use.kind != "holder" or not use.name:
            found.setdefault(str(address), []).append(f"{use.kind}: {use.what}")
    return found


def test_a_cache_of_bcache_is_as_much_of_the_file_system_as_its_disk():
    machine = stack(
        "bcache0",
        holds={"nvme0n1p2": "bcache0", "sdb": "bcache0"},
        kinds={"nvme0n1p2": "bcache", "sdb": "bcache"},
        mounts=("bcache0 /srv ext4 /dev/bcache0",),
    )
    mounted = "mounted: bcache0 on /srv"
    assert ends_at(machine) == {
        FAST: ["member: nvme0n1p2 is a bcache", mounted],
        SLOW: ["member: sdb is a bcache", mounted],
    }


def test_an_array_on_partitions_counts_for_both_controllers_and_its_other_partitions_for_none():
    holds = {"nvme0n1p1": "md0", "sda1": "md0"}
    machine = stack("md0", holds=holds, mounts=("md0 /boot ext4 /dev/md0",))
    assert ends_at(machine) == {FAST: ["mounted: md0 on /boot"], SLOW: ["mounted: md0 on /boot"]}
    assert ends_at(stack("md0", holds={"sda1": "md0", "sdb": "md0"}, mounts=("md0 / ext4 x",))).keys() == {SLOW}


def test_a_volume_of_lvm_on_luks_is_found_through_both():
    machine = stack(
        "dm-0",
        "dm-1",
        "dm-2",
        holds={"nvme0n1p3": "dm-0", "dm-0": "dm-1 dm-2"},
        kinds={"nvme0n1p3": "crypto_LUKS", "dm-0": "LVM2_member"},
        mounts=("dm-1 / ext4 /dev/mapper/vg-root",),
        texts={"/proc/swaps": "Filename\tType\n/dev/dm-2 partition\t9\t0\t-2\n", f"{BLOCK}/dm-1/dm/name": "vg-root"},
    )
    assert ends_at(machine) == {
        FAST: ["member: dm-0 is a LVM2_member", "mounted: dm-1 (vg-root) on /", "swap: dm-2 is swap"]
    }
    locked = stack(kinds={"nvme0n1p3": "crypto_LUKS"})
    assert ends_at(locked) == {}


ZFS = "6a898cc3-1dd2-11b2-99a6-080020736631"


def test_a_special_device_of_a_pool_is_a_member_and_so_is_a_cache_without_a_label():
    special = stack(kinds={"nvme0n1p2": "zfs_member", "sdb": "zfs_member"}, mounts=("tank /tank zfs tank",))
    assert ends_at(special) == {FAST: ["member: nvme0n1p2 is a zfs_member"], SLOW: ["member: sdb is a zfs_member"]}
    # blkid finds no label on a cache or a spare; the partition that ZFS made tells it.
    cache = stack(texts={f"{UDEV}/b259:1": f"E:ID_PART_ENTRY_TYPE={ZFS}"})
    assert ends_at(cache) == {FAST: ["member: nvme0n1p1 is a partition of ZFS"]}
    other = "0fc63daf-8483-4772-8e79-3d69d8477de4"
    assert ends_at(stack(texts={f"{UDEV}/b259:1": f"E:ID_PART_ENTRY_TYPE={other}"})) == {}
    formatted = f"E:ID_PART_ENTRY_TYPE={ZFS}\nE:ID_FS_TYPE=ext4"
    assert ends_at(stack(texts={f"{UDEV}/b259:1": formatted})) == {}


POOL = "/sys/fs/btrfs/4711/devices"


@pytest.mark.parametrize(("source", "point"), [("/dev/nvme0n1p2", "/"), ("/dev/root", "/"), ("/dev/mapper/x", "/srv")])
def test_a_btrfs_of_two_devices_is_mounted_by_all_of_them_whatever_its_source_is_called(source: str, point: str):
    links = {f"{POOL}/nvme0n1p2": "x", f"{POOL}/sdb": "x", "/dev/mapper/x": "../sdb"}
    machine = stack(mounts=(f"anonymous {point} btrfs {source} subvol=/@",), links=links)
    assert ends_at(machine) == {FAST: [f"mounted: nvme0n1p2 on {point}"], SLOW: [f"mounted: sdb on {point}"]}


def test_the_root_that_the_kernel_mounted_is_the_pool_that_its_command_line_names():
    links = {f"{POOL}/nvme0n1p2": "x", "/sys/fs/btrfs/4712/devices/sdb": "x"}
    texts = {"/proc/cmdline": "root=/dev/sda1 ro root=/dev/nvme0n1p2"}
    machine = stack(mounts=("anonymous / btrfs /dev/root",), links=links, texts=texts)
    assert ends_at(machine) == {
        FAST: ["mounted: nvme0n1p2 on /"],
        SLOW: ["mounted: sdb (btrfs) in another mount namespace, as a container has"],
    }


def test_a_file_system_that_only_others_see_is_mounted_too():
    kinds = {"/sys/fs/xfs/nvme0n1p2": "x", "/sys/fs/ext4/sda1": "x", "/sys/fs/ext4/features": "x", f"{POOL}/sdb": "x"}
    found = ends_at(stack(links=kinds))
    hidden = "in another mount namespace, as a container has"
    assert found[FAST] == [f"mounted: nvme0n1p2 (xfs) {hidden}"]
    assert found[SLOW] == [f"mounted: sda1 (ext4) {hidden}", f"mounted: sdb (btrfs) {hidden}"]
    seen = stack(links={"/sys/fs/xfs/nvme0n1p2": "x"}, mounts=("nvme0n1p2 /data xfs /dev/nvme0n1p2",))
    assert ends_at(seen) == {FAST: ["mounted: nvme0n1p2 on /data"]}


def test_the_log_of_a_file_system_may_be_on_another_drive():
    machine = stack(mounts=("sda1 /srv xfs /dev/sda1 logdev=/dev/nvme0n1p1 noquota",))
    assert ends_at(machine) == {FAST: ["mounted: nvme0n1p1 on /srv"], SLOW: ["mounted: sda1 on /srv"]}
    assert ends_at(stack(kinds={"nvme0n1p1": "jbd"})) == {FAST: ["member: nvme0n1p1 is a jbd"]}


def test_a_bcachefs_names_all_its_devices_in_its_source():
    machine = stack(mounts=("sda1 /srv bcachefs /dev/sda1:/dev/nvme0n1p3",))
    assert ends_at(machine) == {FAST: ["mounted: nvme0n1p3 on /srv"], SLOW: ["mounted: sda1 on /srv"]}


def test_a_swap_file_is_of_its_file_system_and_a_swap_partition_is_a_use():
    swaps = "Filename\tType\n/dev/nvme0n1p3 partition\t9\t0\t-2\n/srv/swap file\t9\t0\t-3\n"
    machine = stack(mounts=("sda1 /srv ext4 /dev/sda1",), texts={"/proc/swaps": swaps})
    assert ends_at(machine) == {FAST: ["swap: nvme0n1p3 is swap"], SLOW: ["mounted: sda1 on /srv"]}


def test_what_a_loop_device_or_zram_stands_on_is_below_it():
    texts = {
        f"{BLOCK}/loop0/loop/backing_file": "/dev/nvme0n1p2",
        f"{BLOCK}/loop1/loop/backing_file": "/srv/image",
        f"{BLOCK}/zram0/backing_dev": "/dev/sdb",
        f"{BLOCK}/zram1/backing_dev": "none",
        "/proc/swaps": "Filename\tType\n/dev/zram0 partition\t9\t0\t100\n/dev/zram1 partition\t9\t0\t100\n",
    }
    machine = stack("loop0", "loop1", "zram0", "zram1", mounts=("loop0 /mnt ext4 /dev/loop0",), texts=texts)
    assert ends_at(machine) == {FAST: ["mounted: loop0 on /mnt"], SLOW: ["swap: zram0 is swap"]}


def test_a_disk_that_is_served_to_other_hosts_is_held():
    core, nvmet = "/sys/kernel/config/target/core/iblock_0/db", "/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1"
    machine = stack(texts={f"{core}/udev_path": "/dev/sdb", f"{nvmet}/device_path": "/dev/nvme0n1"})
    assert ends_at(machine) == {
        FAST: ["holder: nvme0n1 is served to other hosts (NVMe target nqn.x)"],
        SLOW: ["holder: sdb is served to other hosts (target db)"],
    }
    by_file = stack(texts={f"{core}/udev_path": "/srv/image"})
    assert ends_at(by_file) == {}


SUBSYSTEM = "../../devices/virtual/nvme-subsystem/nvme-subsys0"


def dual(*controllers: tuple[int, str], paths: tuple[str, ...]) -> Recorded:
    """A drive with a head, nvme0n1, that its controllers lead to by hidden disks; its first partition is mounted."""
    links = {f"{BLOCK}/nvme0n1": f"{SUBSYSTEM}/nvme0n1", f"{BLOCK}/nvme0n1p1": f"{SUBSYSTEM}/nvme0n1/nvme0n1p1"}
    for number, place in controllers:
        links[f"/sys/class/nvme-subsystem/nvme-subsys0/nvme{number}"] = f"../../{place}/nvme{number}"
        for path in (one for one in paths if f"c{number}n" in one):
            links[f"/sys/class/nvme/nvme{number}/{path}"] = f"../../{place}/nvme{number}/{path}"
    numbers = {f"{BLOCK}/nvme0n1/dev": "259:0", f"{BLOCK}/nvme0n1p1/dev": "259:1"}
    return tree(numbers | {MOUNTS: "30 1 259:1 / /data rw - xfs /dev/nvme0n1p1 rw"}, links)


def test_a_drive_with_two_ports_is_of_both_functions_and_of_no_controller_of_a_network():
    ports = (0, f"pci0000:00/0000:00:01.1/{FAST}/nvme"), (1, f"pci0000:00/0000:00:01.2/{SLOW}/nvme")
    mounted = ["mounted: nvme0n1p1 on /data"]
    assert ends_at(dual(*ports, paths=("nvme0c0n1", "nvme0c1n1"))) == {FAST: mounted, SLOW: mounted}
    assert ends_at(dual(*ports, paths=("nvme0c1n1",))) == {SLOW: mounted}
    remote = (2, "devices/virtual/nvme-fabrics/ctl")
    assert ends_at(dual(ports[0], remote, paths=("nvme0c0n1", "nvme0c2n1"))) == {FAST: mounted}
    assert ends_at(dual(remote, paths=("nvme0c2n1",))) == {}
    assert ends_at(dual(ports[0], remote, paths=("nvme0c2n1",))) == {}


# ---- what no host builds, and a sysfs of somebody else's may have ----


def layers(count: int, *edges: tuple[int, int], **more: dict[str, str]) -> Recorded:
    """dm-1 to dm-N; `edges` are numbers of devices and of those on them, 0 the drive."""
    names = ["nvme0n1", *(f"dm-{number}" for number in range(1, count + 1))]
    holds: dict[str, str] = {}
    for below, above in edges:
        holds[names[below]] = f"{holds.get(names[below], '')} {names[above]}"
    return stack(*names[1:], holds=holds, mounts=(f"dm-{count} / ext4 x",), **more)


def test_a_deep_stack_ends_where_a_flat_one_does():
    machine = layers(1500, *((number, number + 1) for number in range(1500)))
    assert "mounted: dm-1500 on /" in ends_at(machine)[FAST]


def test_a_device_that_is_reached_by_many_ways_is_told_once():
    pairs = [(below, above) for below in range(40) for above in range(below + 1, 41)]
    machine = layers(40, *pairs)
    uses = [use for _, use in block_uses(machine, read_owners(machine))]
    assert len(uses) == len(set(uses)) == len(pairs) + 1


@pytest.mark.parametrize("uuid", ["LVM-x", "mpath-x"])
def test_a_circle_of_devices_is_gone_round_once(uuid: str):
    texts = {f"{BLOCK}/dm-{number}/dm/uuid": uuid for number in (1, 2)}
    texts |= {f"{BLOCK}/dm-{number}/slaves/sdb": "x" for number in (1, 2)}
    found = ends_at(layers(2, (0, 1), (1, 2), (2, 1), texts=texts))
    assert any("dm-2" in line for line in found[FAST])
