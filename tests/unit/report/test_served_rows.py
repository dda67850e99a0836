"""A whole machine in, its disks, NICs, shares and vsock out, as people see them: text, differences, picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from launcher.api.plans import decode_plan
from launcher.errors import Refused
from launcher.images.boot_files import BootFiles
from launcher.plan.codec import plan_to_json
from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.report.plan_diff import differences
from launcher.report.plan_text import plan_text
from launcher.report.served_rows import served_rows
from launcher.report.svg import plan_svg
from tests.planning import SMALL, host, plan
from tests.served import START, image, served, socket, with_disks, with_sockets
from tests.whole_machine import HOST, SPEC, whole_files


def whole(text: str = SPEC, files: BootFiles | None = None) -> Plan:
    return plan(text, HOST, files or whole_files())


def test_each_is_a_row_with_what_it_is_who_serves_it_and_where_the_guest_has_it() -> None:
    rows = [(row.alias, row.what, row.engine, row.place) for row in served_rows(whole())]
    assert rows == [
        ("root", "/vms/debian.qcow2, qcow2, on 1 more", "qemu-storage-daemon, uid 0", "00:01.0"),
        ("data", "/dev/vg0/data, raw", "qemu-storage-daemon, uid 0", "00:02.0"),
        ("cd", "/vms/install.iso, raw, read-only", "qemu-storage-daemon, uid 1000", "00:03.0"),
        ("lan", "bridge br0, 52:54:00:03:32:97, MTU 9000", "vhost-net, tap vml-033297c969a", "00:04.0"),
        ("inet", "user, 52:54:00:64:cf:e8", "passt, a uid of its own", "00:05.0"),
        ("work", "/vms/src", "virtiofsd, uid 1000", "00:06.0"),
        ("vsock", "1540331767", "vhost-vsock", "00:07.0"),
    ]


def test_what_nobody_serves_is_there_as_the_spec_has_it() -> None:
    text = START + "disks: {root: ./root.qcow2, fast: {socket: /run/a}}\nnics: {lan: {bridge: br7}, mgmt: {tap: no}}\n"
    files = replace(with_disks(root=image()), sockets={"disks.fast": socket("/run/a", kind="other")})
    rows = served_rows(plan(text, served(programs={}), files))
    assert [(row.what, row.engine, row.place) for row in rows] == [
        ("./root.qcow2", "", "-"),
        ("socket /run/a", "", "-"),
        ("bridge br7", "", "-"),
        ("tap no", "", "-"),
    ]


def test_an_engine_of_others_is_told_by_its_socket() -> None:
    text = START + "disks: {fast: {socket: /run/a}}\n"
    (row,) = served_rows(plan(text, served(), with_sockets(disks_fast=socket("/run/a"))))
    assert (row.what, row.engine, row.place) == ("socket /run/a", "yours, by vhost-user", "00:01.0")


def test_a_vm_without_them_says_nothing_of_them() -> None:
    shown = plan_text(plan(SMALL, host("cloud-vm")), "")
    assert not any(head in shown for head in ("Disks", "NICs", "Shares", "Vsock", "shared with engines"))


@pytest.mark.parametrize("width", [60, 75, 76, 80, 100, 140])
def test_the_tables_fit_into_any_width_and_have_every_alias(width: int) -> None:
    lines = plan_text(whole(), "", width=width).splitlines()
    assert max(map(len, lines)) <= width
    for alias in ("root", "data", "cd", "lan", "inet", "work", "vsock"):
        assert any(line.startswith(f"  {alias} ") for line in lines)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_long_path_is_whole_and_its_engine_below_it(width: int) -> None:
    """It may be copied, whatever sticks out."""
    long = "/vms/" + "a" * 100 + "/end.qcow2"
    made = plan(f"{START}disks: {{root: {long}}}", served(), with_disks(root=image(path=long)))
    lines = plan_text(made, "", width=width).splitlines()
    (root,) = (n for n, line in enumerate(lines) if line.startswith(f"  root  {long},"))
    assert [line.split()[0] for line in lines[root + 1 : root + 3]] == ["qcow2", "by"]


def test_headings_and_counts_are_told() -> None:
    shown = plan_text(whole(), "", colour=True)
    assert "1 device, 3 disks, 2 NICs, 1 share, vsock" in shown
    assert "\033[1mDisks" in shown
    assert "1 tap is made, and gone on down" in " ".join(plan_text(whole(), "").split())


def lines(old: str, new: str) -> list[str]:
    assert old in SPEC
    changed = SPEC.replace(old, new, 1)
    files = whole_files()
    more = {"more": next(iter(with_disks(more=image("more.img")).disks.values()))} if "more:" in changed else {}
    return [str(one) for one in differences(whole(), whole(changed, replace(files, disks=files.disks | more)))]


def test_a_disk_that_is_added_is_told_in_spec_and_steps() -> None:
    found = lines("  cd: {path", "  more: ./more.img\n  cd: {path")
    assert any(line.startswith("+ disks.more") for line in found)
    assert "+ start-disk-engine more  /vms/more.img as uid 0" in found
    assert "+ add-virtio more  by vhost-user at 00:03.0" in found
    assert "~ add-virtio lan: guest  0000:00:04.0 -> 0000:00:05.0" in found


def test_another_bridge_or_mac_is_told() -> None:
    assert "~ nics.lan: mac  none -> 52:54:00:00:00:09" in lines(
        "{bridge: br0}", "{bridge: br0, mac: 52:54:00:00:00:09}"
    )
    assert any(one.startswith("- make-tap lan") for one in lines("lan: {bridge: br0}", "lan: user"))


def test_a_plan_without_vsock_differs_by_what_is_there_only() -> None:
    found = lines("vsock: true", "vsock: false")
    assert "- vsock.cid  auto" in found
    assert not any(line.startswith("+") for line in found)


def test_the_picture_has_them_all() -> None:
    words = ElementTree.fromstring(plan_svg(whole())).itertext()
    shown = "\n".join(words)
    for row in served_rows(whole()):
        assert {row.alias, row.engine, row.place} <= set(shown.splitlines())


@pytest.mark.parametrize(
    "damage",
    [{"disks": ["a"]}, {"disks": {"a": 1}}, {"nics": {"a": None}}, {"shares": "x"}, {"vsock": 3}, {"vsock": [1]}],
)
def test_a_plan_whose_spec_has_another_shape_is_none(damage: dict[str, object]) -> None:
    plain = plan_to_json(whole())
    plain["spec"]["resolved"] |= damage
    with pytest.raises(Refused, match="E515"):
        decode_plan(json.dumps(plain).encode(), "vm.plan")


def test_what_a_saved_plan_has_in_place_of_text_steers_nothing() -> None:
    plain = plan_to_json(whole())
    plain["spec"]["resolved"]["disks"]["\033[2J"] = {"path": ["\033[2J"]}
    plain["spec"]["resolved"]["nics"]["x"] = {"bridge": {"a": "\033"}}
    made = decode_plan(json.dumps(plain).encode(), "vm.plan")
    assert "\033" not in plan_text(made, "")
    assert "\033" not in plan_svg(made)
