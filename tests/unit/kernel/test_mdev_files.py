"""A mediated device in files as sysfs has them: there, half made, gone."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from launcher.kernel import sysfs
from launcher.kernel.api import MdevKind
from launcher.kernel.sysfs import PciDrivers
from launcher.values import Mdev

ONE = Mdev("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001")


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "devices/virtual/mtty/mtty"
    (made / "mdev_supported_types/mtty-2").mkdir(parents=True)
    (tmp_path / "bus/mdev/devices").mkdir(parents=True)
    monkeypatch.setattr(sysfs, "_MDEV", tmp_path / "bus/mdev")
    return made


def begin(parent: Path) -> Path:
    """On the bus, without its type."""
    made = parent / str(ONE)
    made.mkdir()
    (sysfs._MDEV / "devices" / str(ONE)).symlink_to(made)
    return made


def test_it_is_of_a_type_of_its_parent(parent: Path) -> None:
    drivers = PciDrivers()
    assert drivers.mdev(ONE) is None
    (begin(parent) / "mdev_type").symlink_to("../mdev_supported_types/mtty-2")
    assert drivers.mdev(ONE) == MdevKind("mtty", "mtty-2")


def test_one_that_is_half_made_is_not_taken_for_none(parent: Path) -> None:
    """Its maker may have died: who takes it for gone leaves it there for ever."""
    begin(parent)
    with pytest.raises(OSError, match="it is being made, or removed") as raised:
        PciDrivers().mdev(ONE)
    assert raised.value.errno == errno.EBUSY
