"""Guests on the real /dev/kvm, seen from outside: what they say, how they end, what the report tells."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.copies import LEAST
from launcher.images.boot_files import BootFile
from launcher.images.reading import read_boot_file
from tests.conftest import EXAMPLES, Cli, assemble

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


def report_of(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cli.state / "report.json").read_text())
    return found


def test_hello_is_said_by_both_vcpus(cli: Cli) -> None:
    spec = cli.spec(EXAMPLES / "hello.elf", cpus=2, memory=[{"size": "64MiB"}, {"size": "32MiB", "at": "0x100000000"}])
    done = cli.run("up", spec, "--set", "boot.cmdline=from a test")
    assert done.code == 0
    assert done.out.splitlines()[:3] == ["Hello from a guest of vmlaunch.", "command line: from a test", "memory map:"]
    assert "  0000000000100000-0000000003ffffff  RAM" in done.out
    assert "  0000000100000000-0000000101ffffff  RAM" in done.out
    assert "vCPU 0 says hello\nvCPU 1 says hello\n" in done.out
    assert f"{cli.name}  ended: the guest powered off" in done.err


def test_the_committed_hello_is_what_its_source_makes(tmp_path: Path) -> None:
    built = assemble(EXAMPLES / "hello.S", tmp_path / "hello.elf")
    assert loadable(built) == loadable(EXAMPLES / "hello.elf")


def loadable(path: Path) -> tuple[Any, ...]:
    found, image = read_boot_file(str(path)), path.read_bytes()
    assert isinstance(found, BootFile)
    assert found.kind == "pvh"
    return found.entry, [(s.guest, s.memory_size, image[s.offset : s.offset + s.file_size]) for s in found.segments]


@pytest.mark.parametrize("vcpus", [1, 3, 8])
def test_as_many_vcpus_say_hello_as_the_spec_asks_for(cli: Cli, vcpus: int) -> None:
    done = cli.run("up", cli.spec(EXAMPLES / "hello.elf", cpus=vcpus))
    assert done.code == 0
    assert done.out.count("says hello") == vcpus
    assert len(report_of(cli)["vcpus"]) == vcpus


def test_a_hundred_thousand_characters_arrive_whole(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("many_characters")))
    assert done.code == 0
    line = "".join(str(n % 10) for n in range(99)) + "\n"
    assert done.out == line * 1000
    assert report_of(cli)["counts"]["serial_written"] == 100_000


def test_string_instructions_move_every_byte(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("string_io")))
    assert done.code == 0
    assert done.out == "said with rep outsb\n" + "s" * 3000 + "\n"


def test_what_nobody_answers_for_reads_as_all_ones_and_is_counted(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("unclaimed")))
    assert done.code == 0
    assert done.out == "ffffffff\nffffffff\n0000ffff\n"
    assert "4 reads gave all ones, 4 writes were dropped" in done.err


def test_an_access_to_pci_configuration_is_one_exit(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("asks_pci")))
    assert (done.code, done.out) == (0, "as it was\n")
    (vcpu,) = report_of(cli)["vcpus"]
    assert 1000 <= vcpu["exits"] < 1100


def test_vcpus_that_take_turns_read_what_they_asked_for(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("asks_pci"), cpus=3))
    assert (done.code, done.out) == (0, "as it was\n")


def test_a_reset_beside_pci_s_address_port_is_not_held_back(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "--no-reboot", cli.spec(payload("waits_for_reset")))
    assert done.code == 0
    assert report_of(cli)["end"]["how"] == "reset"


def test_a_vcpu_is_left_alone_once_nothing_is_held_back(cli: Cli, payload: Payload) -> None:
    """However many writes were, and where in the ring of 170 they ended."""
    done = cli.run("up", cli.spec(payload("asks_and_spins"), cpus=1))
    assert done.code == 0
    (vcpu,) = report_of(cli)["vcpus"]
    assert 170 <= vcpu["exits"] < 180


def test_a_triple_fault_is_a_crash_and_the_report_says_where(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("triple_fault")))
    assert done.code == 13
    end = report_of(cli)["end"]
    assert "triple fault" in end["detail"]
    assert end["registers"].get("rip") or "registers are gone" in end["detail"]


def test_without_reboot_a_reset_ends_the_vm(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "--no-reboot", cli.spec(payload("reset")))
    assert done.code == 0
    assert report_of(cli)["end"]["how"] == "reset"


def test_a_guest_reboots_in_place_until_it_has_enough(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("reboots")))
    assert done.code == 0
    assert done.out == "life 10\nlife 20\nlife 30\nlife 40\n"
    report = report_of(cli)
    assert report["reboots"] == 3
    assert report["counts"]["serial_written"] == 4 * 8


def test_a_guest_with_large_files_reboots_in_place(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    """The runner has copies of them the first time, and digests them from then on, when it can import nothing."""
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_bytes(payload("reboots").read_bytes().ljust(2 * LEAST, b"\0"))
    initrd.write_bytes(bytes(2 * LEAST))
    done = cli.run("up", cli.spec(kernel, boot={"kernel": str(kernel), "initrd": str(initrd)}))
    assert (done.code, done.out) == (0, "life 10\nlife 20\nlife 30\nlife 40\n"), done.err


def test_nobody_beside_a_guest_has_a_copy_of_its_files_left(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(64 * LEAST))
    spec = cli.spec(payload("idles"), memory="128MiB", boot={"kernel": str(payload("idles")), "initrd": str(initrd)})
    assert cli.run("up", "-d", spec).code == 0
    report = cli.run("inspect", cli.name, "--json").json()["report"]
    for process in (report["pid"], report["runner"]):
        folder = Path(f"/proc/{process}")
        files = [os.readlink(one) for one in (folder / "fd").iterdir()]
        assert not [one for one in (*files, (folder / "maps").read_text()) if "memfd:plan" in one]


def test_a_guest_reads_what_is_piped_in_and_nothing_is_lost(cli: Cli, payload: Payload) -> None:
    text = "x" * 200_000 + "."
    done = cli.run("up", cli.spec(payload("echo")), stdin=text)
    assert done.code == 0
    assert done.out == text


def test_with_json_stdout_is_json_lines_and_the_guest_is_in_its_log(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", cli.spec(payload("string_io")), "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert lines[-1]["report"]["end"]["how"] == "power-off"
    assert all("outcome" in line for line in lines[:-1])
    assert (cli.state / "console.log").read_text().startswith("said with rep outsb\n")


def test_populated_memory_is_told_on_the_way(cli: Cli, payload: Payload) -> None:
    """Whoever is slow to hear goes without some of it, the last of it too: that the step is done says the rest."""
    spec = cli.spec(payload("reset"), memory=[{"size": "512MiB", "pages": "4KiB"}])
    done = cli.run("up", spec, "--json", "--no-reboot")
    assert done.code == 0
    outcomes = [json.loads(line).get("outcome") for line in done.out.splitlines()[:-1]]
    progress = [one for one in outcomes if one["state"] == "progress"]
    told = [one["done"] for one in progress]
    assert told
    assert told == sorted(told)
    assert 0 < told[-1] <= 512 << 20
    assert {one["total"] for one in progress} == {512 << 20}
    assert any(one["n"] == progress[0]["n"] and one["state"] == "done" for one in outcomes)


def test_a_saved_plan_runs_as_its_spec_does(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    saved = tmp_path / "vm.plan"
    assert cli.run("plan", cli.spec(payload("string_io")), "-o", saved).code == 0
    done = cli.run("up", saved)
    assert done.code == 0
    assert done.out.startswith("said with rep outsb")


def test_a_saved_plan_whose_kernel_changed_is_refused_before_anything_is_touched(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    kernel = tmp_path / "kernel.elf"
    kernel.write_bytes(payload("reset").read_bytes())
    saved = tmp_path / "vm.plan"
    cli.run("plan", cli.spec(kernel), "-o", saved)
    kernel.write_bytes(payload("spin").read_bytes())
    done = cli.run("up", saved)
    assert done.code == 10
    assert f"= {kernel}: its checksum differs (files.kernel.sha256): " in done.err
    assert not cli.state.exists()
