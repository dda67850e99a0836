"""Descriptors handed in: by name, for this process only, and not for programs it starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from launcher.kernel import handed as room
from launcher.kernel import sysfs
from launcher.kernel.api import OtherNode
from launcher.kernel.handed import handed, let_go
from launcher.kernel.real import RealKernel
from launcher.values import PciAddress


@pytest.fixture
def classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the numbers of devices are that have a name of their own; of none here, so that /dev/null may be any."""
    monkeypatch.setattr(sysfs, "_CLASSES", tmp_path / "class")
    return tmp_path / "class"


@pytest.fixture
def given(classes: Path, monkeypatch: pytest.MonkeyPatch):
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
    ("count", "names"),
    [
        *((count, "kvm") for count in ("", "-1", "x", "0", "2", "1 ", "+1", "0x1", "\u0661", "\udcff", "9" * 5000)),
        *(("1", names) for names in ("", "vfio-x:kvm", "vfio-", "vfio-\u0661", "vfio-01", "vfio-1\n", "\udcff")),
    ],
)
def test_what_makes_no_sense_hands_nothing_in(given, monkeypatch: pytest.MonkeyPatch, count: str, names: str) -> None:
    """sd_listen_fds_with_names(3) answers EINVAL."""
    given("kvm")
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", names)
    assert handed() == {}


def test_no_program_that_we_start_has_them_whatever_they_are_called(given, monkeypatch: pytest.MonkeyPatch) -> None:
    row = given("kvm", "stored", "", "vfio-x", f"{'x' * 300}")
    monkeypatch.setenv("LISTEN_FDNAMES", "kvm")  # of one only
    assert handed() == {}
    assert not any(os.get_inheritable(fd) for fd in row)


def test_a_name_is_no_proof(given, classes: Path) -> None:
    """/dev/null is 1:3: as if a group's number, or that of /dev/kvm, were this one, or another."""
    for place, number in (("misc/kvm", "1:3"), ("misc/vfio", "1:5"), ("vfio/12", "1:3"), ("vfio/13", "1:5")):
        (classes / place).mkdir(parents=True)
        (classes / place / "dev").write_text(f"{number}\n")
    kvm, _, group, _, iommufd = given("kvm", "vfio", "vfio-12", "vfio-13", "iommufd")
    assert handed() == {"/dev/kvm": (kvm,), "/dev/vfio/12": (group,), "/dev/iommu": (iommufd,)}


def test_a_number_that_is_not_open_is_passed_over(given) -> None:
    (fd,) = given("kvm")
    os.close(fd)
    assert handed() == {}
    os.dup2(0, fd)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`address`, `number` -> a function whose own node is vfio7, with this number, as sysfs has it."""
    monkeypatch.setattr(sysfs, "_BUS", tmp_path)

    def add(address: str, number: str) -> None:
        node = tmp_path / "devices" / address / "vfio-dev" / "vfio7"
        node.mkdir(parents=True, exist_ok=True)
        (node / "dev").write_text(f"{number}\n")

    return add


def test_the_node_of_a_device_is_known_by_its_number(given, bus: Callable[..., None]) -> None:
    """/dev/null stands in for one that VFIO has; the other device is another's."""
    bus("0000:01:00.0", "1:3")
    bus("0000:02:00.0", "1:5")
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


def test_what_is_opened_by_the_name_of_a_node_has_to_have_its_number(bus: Callable[..., None]) -> None:
    """Whatever has that name: another device, or what has become of a descriptor that was handed in."""
    card = PciAddress.parse("0000:01:00.0")
    for number, fits in (("1:3", True), ("1:5", False)):
        bus(str(card), number)
        fd = os.open(os.devnull, os.O_RDWR)
        kernel = RealKernel({"/dev/vfio/devices/vfio7": (fd,)})
        if fits:
            with closing(kernel.open_cdev(card)) as cdev:
                assert cdev.fd == fd
            continue
        with pytest.raises(OtherNode, match=r"it is device 1:3, and the function's is 1:5"):
            kernel.open_cdev(card)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_file_is_no_node_whatever_numbers_it_has(bus: Callable[..., None], tmp_path: Path) -> None:
    card = PciAddress.parse("0000:01:00.0")
    bus(str(card), "0:0")
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OtherNode, match="it is no device"):
        RealKernel({"/dev/vfio/devices/vfio7": (fd,)}).open_cdev(card)


def test_the_kernel_uses_each_once_and_then_opens_the_node(given) -> None:
    a, b = given("vfio", "vfio")
    kernel = RealKernel(handed())
    assert kernel.handed == (a, b)
    one, other = kernel.open_container(), kernel.open_container()
    assert (one.fd, other.fd) == (a, b)
    assert kernel.handed == ()


def closed(*numbers: int) -> bool:
    """All of them. They are opened again, for who closes them at the end."""
    found = []
    for fd in numbers:
        try:
            os.fstat(fd)
        except OSError:
            found.append(fd)
            os.dup2(0, fd)
    return found == list(numbers)


def test_what_nobody_will_open_is_closed_and_so_is_what_the_runner_has(given) -> None:
    kvm, container, group, *cdevs = given("kvm", "vfio", "vfio-12", "iommufd", "iommufd")
    kernel = RealKernel(handed())
    assert kernel.keep_handed(("/dev/kvm", "/dev/iommu", "/dev/vfio/devices/vfio3")) == ("/dev/iommu", "/dev/kvm")
    assert kernel.handed == (kvm, *cdevs)
    assert closed(container, group)
    assert kernel.open_iommufd().fd == cdevs[0]
    kernel.close_ends()
    assert kernel.handed == ()
    assert closed(kvm, cdevs[1])
    assert not closed(cdevs[0])


def test_another_process_than_the_one_that_uses_them_lets_them_go(given) -> None:
    kvm, group = given("kvm", "vfio-12")
    let_go(handed(), {"/dev/vfio/12", "/dev/iommu"}.__contains__)
    assert closed(group)
    assert not closed(kvm)
