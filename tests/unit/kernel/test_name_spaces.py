"""Whether the kernel makes a user name space for this process: it is asked, here and below a chroot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.kernel.name_spaces import user_name_space
from launcher.kernel.vhost_user import MOST_REGIONS
from launcher.planner.needs import PIECES_OF_VHOST_USER
from launcher.planner.served_by import MADE


def test_it_is_asked_by_a_child_and_this_process_stays_where_it_is() -> None:
    before = os.readlink("/proc/self/ns/user")
    assert user_name_space() in (MADE, "EPERM", "EACCES", "ENOSPC", "EINVAL")
    assert os.readlink("/proc/self/ns/user") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot(2) is root's")
def test_below_a_chroot_there_is_none(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        os.chroot(tmp_path)
        os._exit(0 if user_name_space() == "EPERM" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_planner_knows_how_much_memory_an_engine_is_told_of() -> None:
    assert PIECES_OF_VHOST_USER == MOST_REGIONS
