"""Specs and saved plans for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import launcher
from launcher.api import hosts
from launcher.api.staleness import judge_here
from launcher.copies import LEAST, Copies, Here
from launcher.planner.needs import OWN_MEMORY
from launcher.record import replace
from launcher.values import MIB
from tests.conftest import EXAMPLES, ROOT
from tests.planning import HOSTS, host


@pytest.mark.parametrize(
    ("content", "code"), [(None, "E015"), (b"\x7fELF\0", "E001"), (b'{"format_version": "1.0"}', "E021")]
)
def test_what_is_no_spec_is_an_error_with_diagnostics(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "vm.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(launcher.LauncherError) as error:
        launcher.read_spec(str(path))
    assert [one.code for one in error.value.diagnostics] == [code]


@pytest.mark.parametrize("read", [launcher.read_spec, launcher.read_plan])
def test_a_facts_file_in_the_place_of_a_spec_is_told_what_it_is_for(read: Callable[[str], object]) -> None:
    path = str(HOSTS / "gpu07.json")
    with pytest.raises(launcher.LauncherError) as error:
        read(path)
    (found,) = error.value.diagnostics
    assert (found.code, found.help[0]) == (
        "E021",
        f"`vmlaunch plan SPEC --host {path}` plans for the host that it records",
    )


@pytest.mark.parametrize(("available", "kept"), [(2 * LEAST + OWN_MEMORY, 2), (2 * LEAST + OWN_MEMORY - 1, 1), (0, 0)])
def test_copies_of_what_is_read_take_no_memory_that_the_guest_is_to_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: int, kept: int
) -> None:
    """The kernel kills who takes too much, and without copies there was room."""
    memfd = os.memfd_create("plan", os.MFD_CLOEXEC)
    monkeypatch.setattr(Here, "copies", Copies(memfd))
    (tmp_path / "kernel").write_bytes((EXAMPLES / "hello.elf").read_bytes().ljust(LEAST, b"\0"))
    (tmp_path / "initrd").write_bytes(bytes(LEAST))
    spec = tmp_path / "vm.yaml"
    spec.write_text("boot: {kernel: kernel, initrd: initrd}\nmemory: [{size: 64MiB, pages: 4KiB}]\ncpus: 1\n")
    gpu07 = host("gpu07")
    small = replace(gpu07, memory=replace(gpu07.memory, available=available and available + 64 * MIB))
    made = launcher.make_plan(launcher.read_spec(str(spec)), small)
    assert len(Here.copies.places) == kept
    monkeypatch.setattr(Here, "copies", Copies(memfd))
    with suppress(launcher.LauncherError):  # this host is another
        monkeypatch.setattr(hosts, "host_for", lambda _: small)
        judge_here(made, strict=False)
    assert len(Here.copies.places) == kept
    os.close(memfd)


@pytest.mark.parametrize(("count", "said"), [(8192, None), (8193, "assumes.0.fact: longer than 16384 characters")])
def test_a_fact_whose_name_has_no_end_is_of_no_plan(tmp_path: Path, count: int, said: str | None) -> None:
    path = tmp_path / "plan.json"
    plain = json.loads((ROOT / "tests" / "plans" / "small-on-cloud-vm.json").read_text())
    path.write_text(json.dumps(plain | {"assumes": [{"fact": "a." * count, "is": 1}]}))
    if said is None:
        assert launcher.read_plan(str(path)).assumes
        return
    with pytest.raises(launcher.LauncherError) as refused:
        launcher.read_plan(str(path))
    assert refused.value.diagnostics[0].message.endswith(said)
