"""Linux as the guest: it boots, sees what the spec says, reads its console, reboots in place, powers off."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from launcher.values import guest_uuid
from tests.conftest import PATIENCE, Cli, Done
from tests.lab.guest import guest_initramfs
from tests.lab.pieces import distribution_kernel, own_kernel
from tests.linux_images import unified

CMDLINE = "console=ttyS0 quiet panic=-1"


@pytest.fixture(scope="module")
def initrd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return guest_initramfs(tmp_path_factory.mktemp("guest") / "initrd")


def spec_of(cli: Cli, initrd: Path, **fields: Any) -> Path:
    boot = {"kernel": str(distribution_kernel().image), "initrd": str(initrd), "cmdline": CMDLINE}
    return cli.spec(Path("replaced"), **{"memory": "512MiB", "boot": boot} | fields)


def boot(cli: Cli, initrd: Path, commands: str, *words: str, **fields: Any) -> Done:
    """`commands` are typed on the serial console, as a pipe."""
    return cli.run("up", spec_of(cli, initrd, **fields), *words, stdin=commands)


@pytest.mark.host("zoo")
@pytest.mark.parametrize("vcpus", [1, 2, 4])
def test_linux_sees_its_processors_and_powers_off(cli: Cli, initrd: Path, vcpus: int) -> None:
    done = boot(cli, initrd, "nproc\npoweroff\n", cpus=vcpus)
    assert done.code == 0, done.err
    assert re.search(rf"^{vcpus}\r?$", done.out, re.MULTILINE), done.out
    assert "ended: the guest powered off" in done.err


@pytest.mark.host("zoo")
def test_linux_sees_all_banks_of_its_memory(cli: Cli, initrd: Path) -> None:
    banks = [{"size": "256MiB"}, {"size": "512MiB", "at": "0x100000000"}]
    done = boot(cli, initrd, "grep MemTotal /proc/meminfo\npoweroff\n", memory=banks)
    total = int(re.findall(r"MemTotal: +([0-9]+) kB", done.out)[0])
    assert 600 * 1024 < total < 768 * 1024


@pytest.mark.short
@pytest.mark.host("zoo")
def test_linux_finds_acpi_who_it_is_the_host_bridge_and_its_clock(cli: Cli, initrd: Path) -> None:
    look = "lspci; cat /sys/devices/system/clocksource/*/current_clocksource; "
    look += "cd /sys/class/dmi/id; cat sys_vendor product_serial product_uuid; "
    done = boot(cli, initrd, look + "ls /sys/firmware/acpi/tables; cat /proc/interrupts\npoweroff\n")
    assert re.search(r"^00:00\.0 Class 0600: [0-9a-f]{4}:[0-9a-f]{4}\r?$", done.out, re.MULTILINE), done.out
    assert "kvm-clock" in done.out
    for word in ("APIC", "DSDT", "FACP", "MCFG", "IO-APIC", "acpi", "ttyS0"):
        assert word in done.out, word
    for told in ("vmlaunch", cli.name, guest_uuid(cli.name)):
        assert re.search(rf"^{told}\r?$", done.out, re.MULTILINE), done.out


@pytest.mark.host("zoo")
def test_linux_starts_from_a_unified_kernel_image(cli: Cli, initrd: Path, tmp_path: Path) -> None:
    image, whole = distribution_kernel().image, tmp_path / "linux.efi"
    cmdline = f"{CMDLINE} told=by-the-image\n".encode()
    whole.write_bytes(unified(cmdline=cmdline, linux=image.read_bytes(), initrd=initrd.read_bytes()))
    spec = cli.spec(Path("replaced"), memory="512MiB", boot={"kernel": str(whole)})
    done = cli.run("up", spec, stdin="cat /proc/cmdline\npoweroff\n")
    assert done.code == 0, done.err
    assert re.search(rf"^{CMDLINE} told=by-the-image\r?$", done.out, re.MULTILINE), done.out


@pytest.mark.host("zoo")
def test_linux_has_nothing_against_the_types_of_memory(cli: Cli, initrd: Path) -> None:
    """All of it is write back by the MTRRs' default type, without fixed or variable ranges."""
    done = boot(cli, initrd, "dmesg | grep -iE 'mtrr|x86/PAT|BIOS'; cat /proc/mtrr; echo looked\npoweroff\n")
    assert "looked" in done.out
    assert "x86/PAT: Configuration [0-7]: WB" in done.out
    complaint = r"(?i)(mtrr|bios).*\b(bug|wrong|invalid|inconsistent|disabled|strange|losing)\b"
    assert not re.search(complaint, done.out), done.out


@pytest.mark.host("zoo")
def test_linux_reboots_in_place_and_its_console_goes_on(cli: Cli, initrd: Path) -> None:
    up = cli.start("up", spec_of(cli, initrd), stdin=subprocess.PIPE)
    assert up.stdin is not None
    assert up.stdout is not None
    for command in ("reboot", "poweroff"):
        while "init at" not in (line := up.stdout.readline()):
            assert line, "the guest ended too early"
        up.stdin.write(f"{command}\n")
        up.stdin.flush()
    _, told = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0
    assert "after 1 reboot" in told


@pytest.mark.host("zoo")
def test_without_reboot_a_reboot_is_the_end(cli: Cli, initrd: Path) -> None:
    done = boot(cli, initrd, "reboot\n", "--no-reboot")
    assert done.code == 0
    assert done.out.count("init at") == 1
    assert "the guest asked for a reset" in done.err


@pytest.mark.host("zoo")
def test_a_quiet_boot_leaves_the_kernel_seldom(cli: Cli, initrd: Path) -> None:
    done = boot(cli, initrd, "poweroff\n", "--json")
    report = json.loads(done.out.splitlines()[-1])["report"]
    assert report["end"]["how"] == "power-off"
    assert report["vcpus"][0]["exits"] <= 1000


@pytest.mark.host("large")
@pytest.mark.parametrize(("memory", "least"), [("128MiB", 80), ("6GiB", 5800)])
def test_linux_boots_in_little_and_in_much_memory(cli: Cli, initrd: Path, memory: str, least: int) -> None:
    done = boot(cli, initrd, "grep MemTotal /proc/meminfo\npoweroff\n", memory=memory)
    assert done.code == 0
    assert int(re.findall(r"MemTotal: +([0-9]+) kB", done.out)[0]) > least * 1024


@pytest.mark.host("large")
@pytest.mark.parametrize("vcpus", [8, 64])
def test_linux_starts_many_processors(cli: Cli, initrd: Path, vcpus: int) -> None:
    done = boot(cli, initrd, "nproc\npoweroff\n", cpus=vcpus)
    assert done.code == 0, done.err
    assert re.search(rf"^{vcpus}\r?$", done.out, re.MULTILINE), done.out


@pytest.mark.host("large")
def test_linux_on_our_own_kernel_boots_too(cli: Cli, initrd: Path) -> None:
    own = own_kernel()
    if own is None:
        pytest.skip("there is no kernel of our own: ./dev lab kernel builds it")
    done = boot(
        cli, initrd, "uname -r\npoweroff\n", boot={"kernel": str(own.image), "initrd": str(initrd), "cmdline": CMDLINE}
    )
    assert done.code == 0
    assert "-vmlab" in done.out
