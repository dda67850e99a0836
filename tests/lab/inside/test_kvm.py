"""KVM works in every lab host."""

from __future__ import annotations

import fcntl
import os

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
