"""Disks, networks, shares and vsock on hosts of all kinds: what is refused, what is warned of, and what is let be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.api.blocking import exit_code
from launcher.host.facts import HostFacts, Link, OtherVm, Program, ReservedRegion
from launcher.images.boot_files import BootFiles
from launcher.images.disk_files import Broken, Disk, DiskFile, DiskUse, Qcow2, Rights
from launcher.plan.virtio import AddVirtio
from launcher.planner.served_by import ENTER, READ, WRITE, Server, may, server_of, wanted_engines
from launcher.record import replace
from launcher.spec.load import load_spec
from launcher.values import GIB, MIB, Missing
from tests.planning import FILES, SMALL, codes, host, plan
from tests.qcow2_images import qcow2
from tests.served import (
    BRIDGE,
    LINKS,
    ME,
    NODES,
    PROGRAMS,
    START,
    TAP,
    block,
    broken,
    by_user,
    folder,
    image,
    served,
    socket,
    with_disks,
    with_shares,
    with_sockets,
)

WHOLE = """\
disks:
  root: ./root.qcow2
  data: {path: /dev/vda, readonly: true}
  fast: {socket: /run/engine.sock}
nics: {lan: {bridge: br0}, mgmt: {tap: vmtap0}, inet: user}
shares: {work: ./src}
vsock: true
"""
ROOT = "disks: {root: ./root.qcow2}\n"
RAW = "disks: {root: ./root.img}\n"


def said(text: str, on: HostFacts | None = None, files: BootFiles = FILES) -> list[str]:
    return [one for one in codes(plan(START + text, on or served(), files)) if one[1] == "6" or one == "W216"]


def of_root(one: DiskFile, text: str = ROOT, on: HostFacts | None = None) -> list[str]:
    return said(text, on, with_disks(root=one))


def whole() -> BootFiles:
    files = replace(with_disks(root=image(), data=block()), shares={"work": folder()})
    return replace(files, sockets=with_sockets(disks_fast=socket()).sockets)


def test_a_whole_machine_on_a_host_that_has_it_all_is_silent() -> None:
    assert said(WHOLE, files=whole()) == []


def test_the_server_that_anybody_may_plan_for_has_what_serves_a_whole_machine() -> None:
    text = WHOLE.replace(" mgmt: {tap: vmtap0},", "")
    made = plan(START + text, host("gpu07"), whole())
    assert [one for one in codes(made) if one[1] == "6" or one == "W216"] == []
    assert made.summary.can_run == "yes"


def test_a_vm_without_them_is_asked_nothing_of_them() -> None:
    found = plan(SMALL, served(programs={}, nodes=(), links=(), user_namespaces=0, file_size=1))
    assert [one for one in codes(found) if one[1] == "6"] == []


def test_a_host_that_has_nothing_is_told_each_thing_once() -> None:
    found = said(WHOLE, served(programs={}, nodes=(), modules=(), links=(), user_namespaces=0), whole())
    assert sorted(found) == ["E630", "E630", "E630", "E635", "E637", "E642", "E642", "E642", "E657"]


def test_old_facts_are_not_known_and_their_plan_is_neither_yes_nor_no() -> None:
    made = plan(START + WHOLE, replace(served(), serving=None), whole())
    assert [one for one in codes(made) if one[1] == "6"] == []
    assert made.summary.can_run == "unknown"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ("vsock: 5\n", ()),
        ("nics: {lan: {tap: t0}}\n", ()),
        ("disks: {fast: {socket: /s}}\n", ()),
        (ROOT, ("qemu-storage-daemon",)),
        ("shares: {work: ./src}\nnics: {inet: user}\n", ("virtiofsd", "passt")),
    ],
)
def test_only_engines_that_a_spec_needs_are_looked_for(text: str, wanted: tuple[str, ...] | None) -> None:
    assert wanted_engines(load_spec(START + text, "vm.yaml", name="vm").spec) == wanted


# ---- who serves, and whether it may ----


def test_root_s_images_are_served_by_their_owner_and_anybody_else_s_by_that_user() -> None:
    rights = Rights("/a", 7, 8, 0o600)
    assert server_of(rights, served().process) == Server(7, 8)
    assert server_of(rights, by_user(served()).process) == Server(ME, ME, (ME,))
    apart = replace(served().process, own_user_namespace=True)
    assert server_of(rights, apart).uid == 0


@pytest.mark.parametrize(
    ("mode", "server", "wanted", "may_"),
    [
        (0o600, Server(7, 1), READ | WRITE, True),
        (0o400, Server(7, 1), WRITE, False),
        (0o077, Server(7, 8), READ, False),  # the owner is asked about as owner only
        (0o060, Server(1, 8), READ | WRITE, True),
        (0o060, Server(1, 2, (8,)), READ, True),
        (0o006, Server(1, 8), READ, False),
        (0o006, Server(1, 2), READ | WRITE, True),
        (0o600, Server(0, 0), READ, False),  # root, without a capability
        (0o001, Server(1, 2), ENTER, True),
    ],
)
def test_by_owner_group_and_mode(mode: int, server: Server, wanted: int, may_: bool) -> None:
    assert may(Rights("/a", 7, 8, mode), server, wanted) is may_


def test_what_an_access_list_says_is_not_guessed() -> None:
    assert may(Rights("/a", 7, 8, 0, listed=True), Server(1, 1), READ)


def test_a_base_of_another_owner_only_has_to_be_readable() -> None:
    mine = image(rights=Rights("/vms/root.qcow2", ME, ME, 0o600))
    for mode, expected in ((0o644, []), (0o600, ["E621"])):
        base = image("base.img", rights=Rights("/vms/base.img", 0, 0, mode))
        assert said(ROOT, files=with_disks(root=(mine, base))) == expected


def test_who_may_not_ends_with_the_exit_code_of_that() -> None:
    cases = {
        "E601": (RAW, with_disks(root=Missing("denied", "/vms/root.img"))),
        "E621": (RAW, with_disks(root=image("root.img"))),
        "E644": ("nics: {lan: {bridge: br0}}\n", FILES),
        "E655": ("shares: {work: ./src}\n", with_shares(work=folder(uid=0))),
        "E652": ("disks: {root: {socket: /s}}\n", with_sockets(disks_root=socket())),
    }
    for code, (text, files) in cases.items():
        made = plan(START + text, by_user(served()), files)
        assert code in codes(made)
        assert exit_code(made.diagnostics, strict=False) == 4, code


@pytest.mark.parametrize(
    ("on", "uid", "text", "fix"),
    [
        (served(), 1000, "shares: {work: ./src}\n", "chmod u+rwx /vms/src"),
        (served(), 1000, "shares: {work: {path: ./src, readonly: true}}\n", "chmod u+rx /vms/src"),
        (by_user(served()), 0, "shares: {work: ./src}\n", "setfacl -m u:1000:rwx /vms/src"),
    ],
)
def test_the_owner_of_a_folder_is_given_its_mode_for_no_access_list_is_asked_for_him(
    on: HostFacts, uid: int, text: str, fix: str
) -> None:
    closed = replace(folder(uid=uid), rights=Rights("/vms/src", uid, uid, 0))
    (found,) = [one for one in plan(START + text, on, with_shares(work=closed)).diagnostics if one.code == "E655"]
    assert found.fix == fix
    assert ("as its owner or root" in found.help[0]) == fix.startswith("setfacl")
    assert ("apt install acl" in found.help[0]) == fix.startswith("setfacl")


def test_virtiofsd_in_rust_has_to_pass_the_folders_above_a_share() -> None:
    """It looks the path up again, as the folder's owner. The one in C does not."""
    text = "shares: {work: ./src}\n"
    for shut, expected in (
        (Rights("/root", 0, 0, 0o700), ["E655"]),
        (Rights("/root", 0, ME, 0o710), []),
        (Rights("/root", 0, 0, 0o700, listed=True), []),
        (Rights("/root", ME, ME, 0o700), []),
    ):
        assert said(text, served(), with_shares(work=folder(above=(Rights("/x", 0, ME, 0o750), shut)))) == expected
    (found,) = plan(START + text, served(), with_shares(work=folder(above=(Rights("/root", 0, 0, 0o700),)))).diagnostics
    assert found.fix == "setfacl -m u:1000:x /root"
    old = served(programs={**PROGRAMS, "virtiofsd": Program("/usr/lib/qemu/virtiofsd", "7.2.0", "c")})
    assert said(text, old, with_shares(work=folder(above=(Rights("/root", 0, 0, 0o700),)))) == []


@pytest.mark.parametrize(
    ("path", "given_away"),
    [
        ("/", False),
        ("/etc", False),
        ("/srv/../etc/", False),
        ("/usr/local/lib", False),
        ("/run/vmlaunch", False),
        ("/srv", False),
        ("/srv/work", True),
        ("/devel", True),
        ("/var/lib/guest", True),
    ],
)
def test_a_folder_of_the_host_s_own_is_not_told_to_be_given_to_a_user(path: str, given_away: bool) -> None:
    shared = replace(folder(uid=0), path=path)
    made = plan(START + "shares: {work: ./src}\n", served(), with_shares(work=shared))
    (found,) = [one for one in made.diagnostics if one.code == "W656"]
    assert any("chown" in way for way in found.help) == given_away
    assert any("take the host over" in fact for fact in found.evidence) != given_away


def test_a_socket_that_may_not_even_be_looked_at_is_a_matter_of_rights() -> None:
    made = plan(
        START + "disks: {root: {socket: /s}}\n", by_user(served()), with_sockets(disks_root=Missing("denied", "/s"))
    )
    assert "E652" in codes(made)


def test_what_a_shell_would_replace_is_told_to_stand_as_it_is() -> None:
    made = plan(START + ROOT, served(), with_disks(root=Missing("absent", "/vms/~/root.qcow2")))
    assert "are a shell's" in made.diagnostics[0].help[0]
    made = plan(START + "shares: {w: ./$HOME}\n", served(), with_shares(w=Missing("absent", "/vms/$HOME")))
    assert "are a shell's" in made.diagnostics[0].help[0]


@pytest.mark.parametrize(
    ("disk", "share"),
    [
        ({"path": "/vms/src/root.img"}, {}),
        ({"path": "/vms/link.img", "real": "/vms/src/root.img"}, {}),
        ({"path": "/vms/src/link.img", "real": "/vms/root.img"}, {}),
        ({"path": "/vms/images/root.img"}, {"path": "/vms/link", "real": "/vms/images"}),
    ],
)
def test_an_image_that_the_guest_may_replace_is_told_by_whichever_name(
    disk: dict[str, str], share: dict[str, str]
) -> None:
    files = replace(with_shares(w=folder(**share)), disks={"root": Disk((image("root.img", b"\1" * 512, **disk),))})
    assert said(f"{RAW}shares: {{w: ./src}}\n", files=files) == ["W654"]


def test_a_spec_that_the_guest_may_rewrite_is_told() -> None:
    files = replace(with_shares(w=folder()), spec=("/vms/src/vm.yaml",))
    assert said("shares: {w: ./src}\n", files=files) == ["W654"]
    assert said("shares: {w: {path: ./src, readonly: true}}\n", files=files) == []


# ---- images ----


def test_a_block_device_that_is_not_there_is_looked_for_where_they_are() -> None:
    made = plan(START + "disks: {d: /dev/vg0/data}\n", served(), with_disks(d=Missing("absent", "/dev/vg0/data")))
    assert "lsblk -p" in made.diagnostics[0].help[0]


@pytest.mark.parametrize("kind", ["directory", "special"])
def test_what_is_no_disk_is_told_once(kind: Any) -> None:
    assert of_root(image(kind=kind, qcow2=None, size=0)) == ["E603"]


def test_an_image_that_is_not_whole_is_not_judged_by_its_size() -> None:
    assert of_root(image(content=b"QFI\xfb" + bytes(20))) == ["E609"]
    assert of_root(image(content=bytes(1000))) == ["E607"]


def test_a_qcow2_without_a_size_and_one_that_ends_within_a_sector() -> None:
    assert of_root(image(content=qcow2(0))) == ["E604"]
    assert of_root(image(content=qcow2(MIB + 1))) == ["E605"]
    assert said(RAW, files=with_disks(root=block("vda", size=0, allocated=0))) == ["E604"]


def test_a_qcow2_file_without_a_byte_in_it_is_no_image() -> None:
    """As `truncate` and a download that failed leave it; an engine does not open it, as an image or as a base."""
    made = plan(START + ROOT, served(), with_disks(root=image(content=b"")))
    (found,) = [one for one in made.diagnostics if one.code == "E604"]
    assert found.help[0] == "make it, as in `qemu-img create -f qcow2 /vms/root.qcow2 20G`, or copy it again"
    made = plan(START + ROOT, served(), with_disks(root=(image(), image("base.qcow2", b""))))
    (found,) = [one for one in made.diagnostics if one.code == "E607"]
    assert "and has 0 bytes" in found.message
    assert found.help == ("copy it again",)


@pytest.mark.parametrize("content", [qcow2()[: (2 << 16) + 7], b"KDMV".ljust(1001, b"\1"), b"QED\0".ljust(1001, b"\1")])
def test_what_is_no_raw_disk_is_not_filled_up_as_one(content: bytes) -> None:
    """`truncate` would change an image of another program, and none the better."""
    assert said(RAW, files=with_disks(root=image("root.img", content))) in (["E606"], ["E608"])


def test_what_is_packed_is_unpacked_and_not_filled_up() -> None:
    made = plan(START + RAW, served(), with_disks(root=image("root.img", b"\xfd7zXZ\0".ljust(1001, b"\1"))))
    (found,) = [one for one in made.diagnostics if one.code == "E605"]
    assert found.help == ("unpack it: `xzcat /vms/root.img > disk.raw`",)
    assert found.fix is None


@pytest.mark.parametrize(
    ("name", "way"),
    [("loop7", "`losetup /dev/loop7 FILE`"), ("nbd0", "`nbd-client HOST /dev/nbd0`"), ("sr0", "put one in")],
)
def test_an_empty_block_device_is_filled_by_what_fills_its_kind(name: str, way: str) -> None:
    made = plan(START + RAW, served(), with_disks(root=block(name, size=0, allocated=0)))
    (found,) = [one for one in made.diagnostics if one.code == "E604"]
    assert way in found.help[0]


def test_a_raw_disk_with_a_file_system_or_a_partition_table_or_encrypted_is_a_raw_disk() -> None:
    for content in (b"\0" * 0x438 + b"\x53\xef", b"LUKS\xba\xbe", b"\0" * 0x200 + b"EFI PART", b""):
        assert of_root(image("root.img", content.ljust(MIB, b"\0")), RAW) == []


def test_a_base_may_be_empty_and_may_hold_anything_where_it_is_said_to_be_raw() -> None:
    for base in (image("base.img", b""), image("base.img", bytes(100)), image("base.img", qcow2())):
        assert said(ROOT, files=with_disks(root=(image(), base))) == []


def test_a_base_that_is_damaged_is_told_by_its_name() -> None:
    base = image("base.qcow2", qcow2=Qcow2(3, MIB, corrupt=True))
    made = plan(START + ROOT, served(), with_disks(root=(image(), base)))
    (found,) = [one for one in made.diagnostics if one.code == "E610"]
    assert found.message == "root: /vms/base.qcow2, which /vms/root.qcow2 is based on, is marked corrupt"


def test_a_base_is_looked_for_beside_the_link_and_not_beside_what_it_leads_to() -> None:
    """As QEMU does (path_combine in block.c)."""
    end = Broken("absent", "/vms/root.qcow2", "base.qcow2", "/vms/base.qcow2")
    made = plan(START + ROOT, served(), with_disks(root=Disk((image(real="/store/7/root.qcow2"),), end)))
    (found,) = [one for one in made.diagnostics if one.code == "E614"]
    assert found.help[0].endswith("name that, /store/7/root.qcow2")


@pytest.mark.parametrize(
    ("said_", "first"), [("host_device", "qemu-img rebase -u -F raw"), ("vmdk", "qemu-img convert")]
)
def test_a_base_that_is_named_by_a_protocol_of_qemu_is_a_raw_disk(said_: str, first: str) -> None:
    made = plan(START + ROOT, served(), with_disks(root=broken("foreign", "base.img", format=said_)))
    (found,) = [one for one in made.diagnostics if one.code == "E616"]
    assert first in found.help[0]


def test_a_path_in_a_command_is_one_word() -> None:
    made = plan(START + RAW, served(), with_disks(root=image("a b'; rm -rf x.img", bytes(1023))))
    (found,) = [one for one in made.diagnostics if one.code == "E605"]
    assert found.fix == """truncate -s %512 '/vms/a b'"'"'; rm -rf x.img'"""


# ---- who has it ----


@pytest.mark.parametrize(
    ("taken", "refused", "readonly", "expected"),
    [
        ((), (), False, []),
        (("read",), (), False, []),  # a backup that lets others write
        (("read", "write"), (), False, ["E617"]),
        (("read", "write"), (), True, ["E617"]),
        (("read",), ("write", "resize"), False, ["E617"]),
        (("read",), ("write", "resize"), True, []),
        (("write-unchanged",), (), False, []),
        ((), ("read",), True, ["E617"]),
        (("resize",), (), True, ["E617"]),
    ],
)
def test_by_what_others_have_and_leave(taken: Any, refused: Any, readonly: bool, expected: list[str]) -> None:
    text = RAW.replace("./root.img", "{path: ./root.img, readonly: true}") if readonly else RAW
    assert of_root(image("root.img", taken=taken, refused=refused), text) == expected


def test_the_vm_of_the_same_name_has_its_own_images_and_macs() -> None:
    one = image(taken=("write",))
    mac = "52:54:00:aa:00:01"
    mine = OtherVm("vm", (mac,), 5, (one.identity,))
    text = f"{ROOT}nics: {{lan: {{bridge: br0, mac: '{mac}'}}}}\nvsock: 5\n"
    assert said(text, served(vms=(mine,)), with_disks(root=one)) == []
    assert said(text, served(vms=(replace(mine, name="b"),)), with_disks(root=one)) == ["E617", "E646", "E648"]


def test_one_device_by_two_names_is_one() -> None:
    text = "disks: {a: /dev/vda, b: /dev/disk/by-id/x}\n"
    twice = with_disks(a=block(), b=block(identity="9:9", path="/dev/disk/by-id/x"))
    other = with_disks(a=block(), b=block(identity="9:9", number="8:16"))
    assert said(text, files=twice) == ["E620"]
    assert said(text, files=other) == []


def test_mounts_are_named_before_what_they_are_on() -> None:
    uses = (
        DiskUse("holder", "/dev/loop3 is made of it", "loop3"),
        DiskUse("mounted", "loop3p1 on /mnt", "/mnt"),
        DiskUse("member", "vda is a zfs_member", "/dev/vda"),
    )
    made = plan(START + RAW, served(), with_disks(root=image("root.img", uses=uses)))
    (found,) = [one for one in made.diagnostics if one.code == "E618"]
    assert found.message.endswith("loop3p1 on /mnt")
    assert found.evidence == tuple(use.what for use in uses)
    assert found.help == ("unmount it: `umount /mnt`", "take the loop device away: `losetup -d /dev/loop3`")


# ---- room ----


@pytest.mark.parametrize(
    ("size", "allocated", "free", "expected"),
    [
        (100 * GIB, GIB, 99 * GIB, []),
        (100 * GIB, GIB, 98 * GIB, ["W623"]),
        (100 * GIB, 100 * GIB, 0, []),
        (100 * GIB, GIB, 0, ["E623"]),
        (100 * GIB, 101 * GIB, 0, []),
    ],
)
def test_what_is_not_written_yet_has_to_have_room(size: int, allocated: int, free: int, expected: list[str]) -> None:
    assert of_root(image("root.img", size=size, allocated=allocated, free=free), RAW) == expected
    read = RAW.replace("./root.img", "{path: ./root.img, readonly: true}")
    assert of_root(image("root.img", size=size, allocated=allocated, free=free), read) == []


# ---- name spaces and memory of engines ----


@pytest.mark.parametrize(
    ("text", "uid", "expected"),
    [
        (ROOT, 0, ["E657"]),
        (ROOT, ME, []),  # a user's qemu-storage-daemon is the user's own
        ("disks: {root: {socket: /s}}\n", 0, []),
        ("nics: {inet: user}\n", ME, ["E657"]),
        ("nics: {lan: {bridge: br0}}\nvsock: 7\n", 0, []),
    ],
)
def test_a_name_space_is_missed_by_who_is_served_in_one(text: str, uid: int, expected: list[str]) -> None:
    mine = with_disks(root=image(rights=Rights("/vms/root.qcow2", uid, uid, 0o600)))
    files = mine if text == ROOT else with_sockets(disks_root=socket()) if "socket" in text else FILES
    for facts in (served(name_space="EPERM"), served(user_namespaces=0)):
        assert said(text, facts if uid == 0 else by_user(facts), files) == expected


def test_of_memory_in_many_pieces_each_engine_takes_as_many_as_it_can_be_told_of() -> None:
    many = START.replace("1GiB", "[" + ", ".join(["{size: 16MiB}"] * 65) + "]")

    def told(text: str, **fields: Any) -> list[str]:
        files = with_disks(root=image()) if "disks" in text else FILES
        return [one for one in codes(plan(many + text, served(**fields), files)) if one == "E659"]

    assert told(ROOT + "vsock: 7\n") == ["E659"]
    assert told("vsock: 7\n") == ["E659"]  # 64 without another number
    assert told("vsock: 7\n", vhost_regions=65) == []
    assert told("") == []


# ---- networks ----


def lan(*links: Link, text: str = "nics: {lan: {tap: vmtap0}}\n", user: bool = True) -> list[str]:
    facts = served(links=links)
    return said(text, by_user(facts) if user else facts)


@pytest.mark.parametrize(
    ("owner", "group", "expected"),
    [
        (ME, None, []),
        (None, None, []),  # the kernel then lets everybody
        (None, ME, []),
        (ME, 7, ["E640"]),
        (0, None, ["E640"]),
    ],
)
def test_a_tap_is_opened_by_whom_it_was_made_for(owner: int | None, group: int | None, expected: list[str]) -> None:
    tap = replace(TAP, owner=owner, group=group)
    assert lan(tap) == expected
    assert lan(tap, user=False) == []


def test_a_bridge_named_as_a_tap_and_a_tap_named_as_a_bridge() -> None:
    assert lan(replace(BRIDGE, name="vmtap0")) == ["E638"]
    assert lan(replace(TAP, name="br0"), text="nics: {lan: {bridge: br0}}\n", user=False) == ["E636"]


@pytest.mark.parametrize(
    ("master", "ends"), [(None, "user 1000 && ip link set vmtap0 up"), ("br0", "&& ip link set vmtap0 master br0 up")]
)
def test_a_tap_that_is_made_anew_is_set_up_as_it_was(master: str | None, ends: str) -> None:
    other = replace(TAP, owner=1001, master=master)
    made = plan(START + "nics: {lan: {tap: vmtap0}}\n", by_user(served(links=(BRIDGE, other))))
    (found,) = [one for one in made.diagnostics if one.code == "E640"]
    assert found.fix is not None
    assert found.fix.endswith(ends)


def test_a_card_in_place_of_a_bridge_is_told_how_it_becomes_a_port_of_one() -> None:
    card = Link("eth9", "other", "02:00:00:00:00:09", up=True)
    for text, way in (("bridge: eth9", "ip link set eth9 master br0"), ("tap: eth9", "`bridge: br0`")):
        made = plan(START + f"nics: {{lan: {{{text}}}}}\n", served(links=(card,)))
        (found,) = [one for one in made.diagnostics if one.code in ("E636", "E638")]
        assert way in " ".join(found.help)


def test_two_things_wrong_with_a_tap_are_both_told() -> None:
    assert lan(replace(TAP, attached=True, up=False, owner=5)) == ["E639", "E640", "W639"]


def test_a_mac_of_a_card_that_is_on_another_bridge_is_nobodys() -> None:
    mac = LINKS[1].mac
    text = f"nics: {{lan: {{bridge: br0, mac: '{mac}'}}}}\n"
    assert lan(*LINKS, text=text, user=False) == ["E647"]
    assert lan(replace(BRIDGE, ports=()), LINKS[1], text=text, user=False) == []


def test_a_node_is_wanted_by_what_uses_it_only() -> None:
    nothing = served(nodes=(), modules=())
    assert said("nics: {inet: user}\n", nothing) == []
    assert said("vsock: 7\n", nothing) == ["E642"]
    assert said("vsock: 7\n", served(nodes=NODES[2:], modules=())) == []


def test_a_module_that_the_plan_loads_is_not_missed() -> None:
    assert said("vsock: 7\n", served(nodes=())) == []
    assert said("vsock: 7\n", by_user(served(nodes=()))) == ["E642"]


def test_a_mac_and_a_context_id_that_follow_from_names_are_compared_as_well() -> None:
    made = plan(START + "nics: {lan: {bridge: br0}}\nvsock: true\n", served())
    (nic, vsock) = (one for step in made.steps if isinstance(step, AddVirtio) for one in step.functions)
    other = OtherVm("other", (nic.mac or "",), vsock.cid)
    assert said("nics: {lan: {bridge: br0}}\nvsock: true\n", served(vms=(other,))) == ["E646", "E648"]


def test_where_the_iommu_leaves_no_room_below_4_gib_there_is_none_for_a_bar() -> None:
    facts = served()
    regions = (ReservedRegion(0xC0000000, 0xFEDFFFFF, "reserved"),)
    groups = tuple(replace(one, reserved=regions) if one.number == 14 else one for one in facts.groups)
    text = f"{ROOT}devices: {{drive: 0000:02:00.0}}\n"
    assert "E649" in said(text, replace(facts, groups=groups), with_disks(root=image()))
    assert "E649" not in said(text, facts, with_disks(root=image()))


def test_a_module_that_the_kernel_lacks_is_not_loaded() -> None:
    made = plan(START + "vsock: 7\n", served(nodes=(), modules=("tun",)))
    (found,) = [one for one in made.diagnostics if one.code == "E642"]
    assert found.fix is None
    assert "no module vhost_vsock" in found.message


def test_a_kernel_whose_modules_are_not_installed_is_not_told_to_load_one() -> None:
    missing = Missing("absent", "/lib/modules/6.18/modules.dep")
    made = plan(START + "vsock: 7\n", served(nodes=(), modules=missing))
    (found,) = [one for one in made.diagnostics if one.code == "E642"]
    assert found.fix is None
    assert "modprobe" not in "".join(found.help)
    assert found.evidence == ("there is no /lib/modules/6.18/modules.dep",)


# ---- whatever the facts are ----

ODD = st.builds(
    image,
    st.sampled_from(["root.qcow2", "root.img"]),
    st.one_of(st.binary(max_size=200), st.sampled_from([qcow2(), qcow2(features=255), bytes(5)])),
    kind=st.sampled_from(["file", "block", "directory", "special"]),
    size=st.integers(0, 1 << 63),
    allocated=st.integers(0, 1 << 63),
    free=st.one_of(st.none(), st.integers(0, 1 << 63)),
    number=st.sampled_from([None, "8:0"]),
    read_only=st.booleans(),
    taken=st.sampled_from([(), ("write",), ("read", "resize")]),
    refused=st.sampled_from([(), ("write",)]),
    uses=st.lists(
        st.builds(DiskUse, st.sampled_from(["mounted", "swap", "holder", "odd"]), st.text(), st.text()), max_size=3
    ).map(tuple),
)


@given(st.lists(ODD, min_size=1, max_size=3), ODD)
def test_no_facts_of_images_make_the_planner_stumble(chain: list[DiskFile], other: DiskFile) -> None:
    text = "disks: {root: ./root.qcow2, b: {path: ./b.img, readonly: true}}\n"
    made = plan(START + text, served(), with_disks(root=Disk(tuple(chain)), b=other))
    for one in made.diagnostics:
        assert one.where is not None
        assert one.help
