"""What the tests in lab hosts share: each is made once for every host it is for, and may ask which one it is in.

A test that is not for all of its parameters in each of its hosts is parametrized with `host` itself.
"""

from __future__ import annotations

import pytest

from tests.lab.hosts import HOSTS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if any("host" in marker.args[0] for marker in metafunc.definition.iter_markers("parametrize")):
        return
    marker = metafunc.definition.get_closest_marker("host")
    names = marker.args if marker else tuple(HOSTS)
    if "host" not in metafunc.fixturenames:
        metafunc.fixturenames.append("host")
    metafunc.parametrize("host", [HOSTS[name] for name in names], ids=names)
