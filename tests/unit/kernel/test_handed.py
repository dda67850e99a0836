"""Descriptors handed in: by name, for this process only, and not for programs it starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.kernel import handed as room
from launcher.kernel import sysfs
from launcher.kernel.handed import handed
from launcher.kernel.real import RealKernel


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch):
    """`names` -> the numbers of as many descriptors in a row."""
    opened: list[int] = []

    def give(*names: str) -> list[int]:
        opened.extend(os.open("/dev/null", os.O_RDWR) for _ in names)
        first = 700 + 10 * len(names)  # higher than what other tests have open
        row = [os.dup2(fd, first + n, inheritable=True) for n, fd in enumerate(opened)]
        opened.extend(row)
        monkeypatch.setattr(room, "FIRST", first)
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", str(len(names)))
        monkeypatch.setenv("LISTEN_FDNAMES", ":".join(names))
        return row

    yield give
    for fd in opened:
        os.close(fd)


def test_each_name_is_a_node_and_a_name_may_come_twice(given) -> None:
    a, b, c, d, e = given("kvm", "vfio", "stored", "vfio-12", "vfio")
    assert handed() == {"/dev/kvm": (a,), "/dev/vfio/vfio": (b, e), "/dev/vfio/12": (d,)}
    assert not any(os.get_inheritable(fd) for fd in (a, b, c, d, e))


def test_what_is_for_another_process_is_not_for_us(given, monkeypatch: pytest.MonkeyPatch) -> None:
    given("kvm")
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    assert handed() == {}


@pytest.mark.parametrize(
    ("count", "names"), [("", "kvm"), ("-1", "kvm"), ("x", "kvm"), ("1", ""), ("1", "vfio-x:kvm"), ("0", "kvm")]
)
def test_what_makes_no_sense_hands_nothing_in(given, monkeypatch: pytest.MonkeyPatch, count: str, names: str) -> None:
    given("kvm")
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", names)
    assert handed() == {}


def test_a_number_that_is_not_open_is_passed_over(given) -> None:
    (fd,) = given("kvm")
    os.close(fd)
    assert handed() == {}
    os.dup2(0, fd)


def test_the_node_of_a_device_is_known_by_its_number(given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/null stands in for one that VFIO has, as sysfs shows it; the other device is another's."""
    for address, number in (("0000:01:00.0", "1:3"), ("0000:02:00.0", "1:5")):
        node = tmp_path / "devices" / address / "vfio-dev" / "vfio7"
        node.mkdir(parents=True)
        (node / "dev").write_text(f"{number}\n")
    monkeypatch.setattr(sysfs, "_BUS", tmp_path)
    names = ("iommufd", *(f"vfio-cdev-{one}" for one in ("0000-01-00.0", "0000-02-00.0", "0000-03-00.0", "1-1", "")))
    iommufd, cdev, *_ = given(*names)
    assert handed() == {"/dev/iommu": (iommufd,), "/dev/vfio/devices/vfio7": (cdev,)}


def test_the_node_of_a_mediated_device_is_called_by_its_uuid(
    given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
    node = tmp_path / "devices" / uuid / "vfio-dev" / "vfio0"
    node.mkdir(parents=True)
    (node / "dev").write_text("1:3\n")
    monkeypatch.setattr(sysfs, "_MDEV", tmp_path)
    cdev, _ = given(f"vfio-cdev-{uuid}", f"vfio-cdev-{uuid[:-1]}2")
    assert handed() == {"/dev/vfio/devices/vfio0": (cdev,)}


def test_the_kernel_uses_each_once_and_then_opens_the_node(given) -> None:
    a, b = given("vfio", "vfio")
    kernel = RealKernel(handed())
    assert kernel.handed == (a, b)
    one, other = kernel.open_container(), kernel.open_container()
    assert (one.fd, other.fd) == (a, b)
    assert kernel.handed == ()
