"""Two VMs and one image, which their engines would both write without a word: only one of them has it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import launcher
from launcher.host.facts import ENGINES
from tests.conftest import Cli
from tests.name_spaces import needs_name_spaces

pytestmark = [
    pytest.mark.kvm,
    needs_name_spaces,
    pytest.mark.skipif(shutil.which(ENGINES[0]) is None, reason=f"{ENGINES[0]} is not installed"),
]

Specs = Callable[..., Path]


@pytest.fixture
def spec(cli: Cli, payload: Callable[[str], Path], tmp_path: Path) -> Specs:
    """A VM with the image, and what else its disk has."""
    (tmp_path / "root.img").write_bytes(bytes(1 << 20))

    def made(**fields: Any) -> Path:
        return cli.spec(payload("rests"), disks={"root": {"path": str(tmp_path / "root.img"), **fields}})

    return made


def planned(spec: Path) -> launcher.Plan:
    return launcher.make_plan(launcher.read_spec(str(spec)), launcher.this_host())


def codes(plan: launcher.Plan) -> list[str]:
    return [one.code for one in plan.diagnostics]


def test_a_plan_names_the_vm_that_writes_it_and_says_nothing_of_itself(spec: Specs) -> None:
    first, second = spec(), spec()
    with launcher.bring_up(planned(first)) as vm:
        vm.wait_until_running()
        (found,) = planned(second).diagnostics
        assert (found.code, found.message.partition(" is ")[2]) == ("E617", f"written by the VM {first.stem}")
        assert found.help[0] == f"stop it first: `vmlaunch down {first.stem}`"
        assert codes(planned(first)) == []
        vm.stop(force=True)
    assert codes(planned(second)) == []


def test_of_two_plans_that_were_made_before_only_one_comes_up(spec: Specs) -> None:
    """The second no longer fits the host, and says whose image it is now."""
    first, second = spec(), spec()
    plans = planned(first), planned(second)
    with launcher.bring_up(plans[0]) as vm:
        vm.wait_until_running()
        with pytest.raises(launcher.LauncherError) as refused:
            launcher.bring_up(plans[1])
        (found,) = refused.value.diagnostics
        assert found.code == "E516"
        assert any(first.stem in one for one in found.evidence), found.evidence
        vm.stop(force=True)
    with launcher.bring_up(plans[1]) as vm:
        vm.wait_until_running()
        vm.stop(force=True)


def test_those_that_only_read_it_have_it_together(spec: Specs) -> None:
    with launcher.bring_up(planned(spec(readonly=True))) as first:
        first.wait_until_running()
        with launcher.bring_up(planned(spec(readonly=True))) as second:
            second.wait_until_running()
            assert "E617" in codes(planned(spec()))
            second.stop(force=True)
        first.stop(force=True)
