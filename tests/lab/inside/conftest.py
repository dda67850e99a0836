"""What the tests in lab hosts share: each is made once for every host it is for, and may ask which one it is in.

A test that is not for all of its parameters in each of its hosts is parametrized with `host` itself.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PAYLOADS
from tests.lab.guest import MORE_DRIVERS, USE, guest_initramfs
from tests.lab.hosts import HOSTS
from tests.lab.inside.passing import PCI, PEER, bindings, holders
from tests.lab.pieces import distribution_kernel

WAYS = {"iommufd": "iommufd", "compat": "type1"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if any("host" in marker.args[0] for marker in metafunc.definition.iter_markers("parametrize")):
        return
    marker = metafunc.definition.get_closest_marker("host")
    names = marker.args if marker else tuple(HOSTS)
    if "host" not in metafunc.fixturenames:
        metafunc.fixturenames.append("host")
    metafunc.parametrize("host", [HOSTS[name] for name in names], ids=names)


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest) -> None:
    """On hosts that are for it, devices are passed by iommufd, or by the containers that it serves."""
    host = request.node.callspec.params.get("host")
    if "cli" in request.fixturenames and host is not None and host.name in WAYS:
        request.getfixturevalue("cli").with_devices["vfio"] = WAYS[host.name]


@pytest.fixture(scope="session")
def initrd(tmp_path_factory: pytest.TempPathFactory, words: dict[str, bytes]) -> Path:
    """A Linux guest with drivers for what the lab has, and with the program `words`."""
    return guest_initramfs(tmp_path_factory.mktemp("guest") / "initrd", distribution_kernel(), more=words)


@pytest.fixture(scope="session")
def more_drivers(tmp_path_factory: pytest.TempPathFactory, words: dict[str, bytes]) -> Path:
    """The same with drivers for more kinds of devices, and with the program `use`."""
    target, more = tmp_path_factory.mktemp("guest") / "initrd", words | {"bin/use": USE.read_bytes()}
    return guest_initramfs(target, distribution_kernel(), MORE_DRIVERS, more)


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A program for a guest that reads and writes single words of BARs."""
    target = tmp_path_factory.mktemp("words") / "words"
    subprocess.run(["gcc", "-static", "-Wall", "-Werror", PAYLOADS / "words.c", "-o", target], check=True)
    return {"bin/words": target.read_bytes()}


@pytest.fixture(scope="session")
def peer() -> None:
    """The network card that the host keeps."""
    (card,) = (PCI / "0000:03:00.0").glob("virtio*/net/*")
    subprocess.run(["ip", "addr", "replace", f"{PEER}/24", "dev", card.name], check=True)
    subprocess.run(["ip", "link", "set", card.name, "up"], check=True)


@pytest.fixture
def host_as_before() -> Iterator[None]:
    """Whatever a test does, drivers and overrides are as they were, and nobody has a group open."""
    before = bindings()
    yield
    assert bindings() == before
    assert not holders()
