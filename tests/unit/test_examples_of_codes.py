"""The examples of `explain CODE` give their code, where a recorded host or an empty folder is enough to see it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.codes import all_explanations, explanation
from launcher.errors import LauncherError
from launcher.spec.load import load_spec
from tests.elves import pvh
from tests.planning import FILES, codes, host, plan

# It needs a text that is no text, or a thousand lines.
NOT_AS_WRITTEN = {"E001", "E002", "E013"}
SPECS = [one for one in all_explanations() if one.code[1] in "01" and one.code not in NOT_AS_WRITTEN]
ON_GPU07 = ["E201", "E202", "E203", "E204", "E205", "E207", "E210", "E212", "E213", "E214", "E301", "E304"]
ON_GPU07 += ["E233", "E234", "E235"]
ON_GPU07 += ["E306", "E307", "E311", "E407", "W214"]
COMMANDS = ["E014", "E015", "E019", "E021", "E290", "E293", "E294", "E295", "E514", "E517", "E518"]
COMMANDS += ["E024", "E028", "E029", "E296", "E297", "E298", "E299", "E520", "E530", "E531", "E532", "E572"]
COMMANDS += ["E533", "E581", "E583"]


def example(code: str) -> str:
    found = explanation(code)
    assert found is not None
    return found.example


@pytest.mark.parametrize(
    "one", [one for one in SPECS if "vmlaunch" not in one.example.split()], ids=lambda one: one.code
)
def test_example_of_a_spec_gives_its_code(one: object) -> None:
    with pytest.raises(LauncherError) as refused:
        load_spec(one.example, "vm.yaml", name="vm")  # type: ignore[attr-defined]
    assert one.code in {found.code for found in refused.value.diagnostics}  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", ON_GPU07)
def test_example_of_a_device_or_of_memory_gives_its_code_on_a_host(code: str) -> None:
    given = example(code)
    rest = {"boot": "boot: {kernel: ./bzImage}", "cpus": "cpus: 2", "memory": "memory: 8GiB"}
    text = "\n".join([given, *(line for key, line in rest.items() if f"{key}:" not in given), ""])
    assert code in codes(plan(text, host("gpu07"), FILES))


@pytest.mark.parametrize("code", COMMANDS)
def test_example_command_gives_its_code(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bzImage").write_bytes(pvh())
    (tmp_path / "vm.yaml").write_text("boot: {kernel: ./bzImage}\ncpus: 1\nmemory: 64MiB\n")
    (tmp_path / "vm.sh").write_text("qemu-system-x86_64 -kernel ./bzImage\n")
    (tmp_path / "disk.img").write_bytes(bytes(2 << 20))
    (tmp_path / "host.txt").write_text("no JSON")
    main(["plan", "vm.yaml", "-o", "vm.plan"])
    capfd.readouterr()
    for command in example(code).split(";"):
        words = shlex.split(command, comments=True)
        if words[0] == "cat":
            continue
        main(words[words.index("vmlaunch") + 1 :])
    assert f"[{code}]" in capfd.readouterr().err
