"""KVM works in every lab host."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, Cli

KVM_GET_API_VERSION = 0xAE00


def test_kvm_answers() -> None:
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        assert fcntl.ioctl(kvm, KVM_GET_API_VERSION) == 12
    finally:
        os.close(kvm)


@pytest.mark.short
def test_hello_says_hello(cli: Cli) -> None:
    done = cli.run("up", EXAMPLES / "hello.yaml")
    cli.run("down", EXAMPLES / "hello.yaml")
    assert done.code == 0, done.err
    assert "Hello from a guest of vmlaunch." in done.out
    assert "vCPU 1 says hello" in done.out


@pytest.mark.host("zoo")
def test_files_are_read_whole_from_a_share_that_gives_a_part_at_a_time(cli: Cli) -> None:
    """/run/lab is 9p without a cache: one read gives at most 500 KiB, and what is larger looked like another file."""
    initrd = Path("/run/lab/initrd")
    initrd.write_bytes(os.urandom(1 << 20))
    try:
        spec = cli.spec(EXAMPLES / "hello.elf", boot={"kernel": str(EXAMPLES / "hello.elf"), "initrd": str(initrd)})
        done = cli.run("up", spec)
    finally:
        initrd.unlink()
    assert done.code == 0, done.err
    assert "Hello from a guest of vmlaunch." in done.out
