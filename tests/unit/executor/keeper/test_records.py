"""What the runner says of its containers and its teardown is in the report."""

from __future__ import annotations

from pathlib import Path

from launcher.executor.keeper.records import Records
from launcher.plan.outcome import ContainerReport, DeviceReport, StepOutcome
from tests.unit.executor.passing import passing_plan

SPACE = ContainerReport((1, 3), 2, 96 << 20, 7)


def test_containers_are_kept_as_they_were_told_last(tmp_path: Path) -> None:
    records = Records(passing_plan(tmp_path), "")
    records.containers = (SPACE,)
    assert records.report().containers == (SPACE,)


def test_each_call_of_the_teardown_that_failed_counts(tmp_path: Path) -> None:
    records = Records(passing_plan(tmp_path), "")
    assert records.report().failed_undos == 0
    for state in ("done", "not-undone", "not-undone", "undone"):
        records.outcome(StepOutcome(8, state))
    assert records.report().failed_undos == 2


def test_a_companion_has_its_own_line_though_it_shares_an_alias(tmp_path: Path) -> None:
    records = Records(passing_plan(tmp_path), "")
    said = [DeviceReport("gpu", f"0000:01:00.{n}", 1, f"00:10.{n}", "", 0, (), "works") for n in range(2)]
    for one in (*said, said[0]):
        records.device(one)
    assert records.report().devices == tuple(said)
