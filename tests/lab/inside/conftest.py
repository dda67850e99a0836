"""What the tests in lab hosts share: each is made once for every host it is for, and may ask which one it is in."""

from __future__ import annotations

import pytest

from tests.lab.hosts import HOSTS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("host")
    names = marker.args if marker else tuple(HOSTS)
    if "host" not in metafunc.fixturenames:
        metafunc.fixturenames.append("host")
    metafunc.parametrize("host", [HOSTS[name] for name in names], ids=names)
