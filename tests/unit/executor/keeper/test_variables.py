"""The file of a firmware's variables: made of its template as a whole, the one that was planned, and nobody else's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import StepFailed
from launcher.executor.keeper.changing import change
from launcher.images.locks import locks_of
from launcher.plan.firmware import OpenVariables
from launcher.record import replace
from tests.fakes.kernel import FakeKernel

SIZE = 8192


@pytest.fixture
def step(tmp_path: Path) -> OpenVariables:
    template = tmp_path / "template.fd"
    template.write_bytes(b"variables".ljust(SIZE, b"\xff"))
    digest = sha256(template.read_bytes()).hexdigest()
    return OpenVariables(str(tmp_path / "kept.fd"), "", str(template), digest, SIZE)


def opened(step: OpenVariables) -> int:
    kernel = FakeKernel()
    change(step, kernel)
    return kernel.variables()


def there(step: OpenVariables) -> OpenVariables:
    """It was when the plan was made."""
    status = Path(step.path).stat()
    return replace(step, identity=f"{status.st_dev}:{status.st_ino}")


def test_a_file_that_is_not_there_is_made_of_the_template_and_found_by_the_next_life(step: OpenVariables) -> None:
    for one in (step, None):
        file = opened(one or there(step))
        assert os.pread(file, SIZE, 0) == Path(step.template).read_bytes()
        assert Path(step.path).stat().st_mode & 0o777 == 0o600
        assert sorted(Path(step.path).parent.iterdir()) == [Path(step.path), Path(step.template)]
        os.close(file)


@pytest.mark.parametrize("taken", [False, True])
def test_a_file_system_without_nameless_files_gets_one_by_a_draft(
    step: OpenVariables, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """As ramfs, NFS and FAT are; whatever comes of it, no draft is left."""
    real = os.open

    def refused(path: str, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refused)
    if taken:
        Path(step.path).write_bytes(b"somebody's")
        with pytest.raises(StepFailed, match="File exists"):
            opened(step)
    else:
        file = opened(step)
        assert os.pread(file, SIZE, 0) == Path(step.template).read_bytes()
        os.close(file)
    assert sorted(Path(step.path).parent.iterdir()) == [Path(step.path), Path(step.template)]


def test_it_is_locked_as_qemu_looks_for_locks_until_nobody_has_it_open(step: OpenVariables) -> None:
    file = opened(step)
    child = os.dup(file)
    os.close(file)  # the keeper's, when its runner has it
    other = os.open(step.path, os.O_RDWR)
    assert locks_of(other).taken
    with pytest.raises(StepFailed, match="somebody has it locked"):
        opened(there(step))
    os.close(child)
    assert not locks_of(other).taken
    os.close(other)
    os.close(opened(there(step)))


def grow(step: OpenVariables) -> None:
    with open(step.path, "ab") as file:
        file.write(b"more")


def swap(step: OpenVariables) -> None:
    other = Path(step.path).with_suffix(".other")
    other.write_bytes(bytes(SIZE))
    other.replace(step.path)


def link(step: OpenVariables) -> None:
    os.unlink(step.path)
    os.symlink(step.template, step.path)


def pipe(step: OpenVariables) -> None:
    os.unlink(step.path)
    os.mkfifo(step.path)


@pytest.mark.parametrize(
    ("deed", "fact"),
    [
        (grow, "it has 8196 bytes"),
        (swap, "it is another file now"),
        (link, "it is another file now"),
        (pipe, "no regular file"),
        (lambda step: os.unlink(step.path), "No such file"),
    ],
    ids=["another size", "another file", "a link to another", "a pipe", "gone"],
)
def test_a_file_that_is_not_as_planned_is_refused(step: OpenVariables, deed: Callable[[Any], None], fact: str) -> None:
    os.close(opened(step))
    planned = there(step)
    deed(step)
    with pytest.raises(StepFailed) as failed:
        opened(planned)
    assert failed.value.diagnostics[0].code == "E568"
    assert fact in failed.value.diagnostics[0].message


def test_a_link_to_the_file_that_was_planned_leads_to_it(step: OpenVariables) -> None:
    os.close(opened(step))
    planned, place = there(step), f"{step.path}.there"
    os.rename(step.path, place)
    os.symlink(place, step.path)
    file = opened(planned)
    assert os.path.samestat(os.fstat(file), os.stat(place))
    os.close(file)


def test_what_came_to_be_since_the_plan_was_made_is_not_written_over(step: OpenVariables) -> None:
    Path(step.path).write_bytes(b"somebody's")
    with pytest.raises(StepFailed, match="File exists"):
        opened(step)
    assert Path(step.path).read_bytes() == b"somebody's"


def test_another_template_makes_no_file(step: OpenVariables) -> None:
    Path(step.template).write_bytes(bytes(SIZE))
    with pytest.raises(StepFailed, match="has changed since the plan was made"):
        opened(step)
    assert not Path(step.path).exists()
