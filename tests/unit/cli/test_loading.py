"""Which compiled modules are taken as they are, and which are left to Python."""

from __future__ import annotations

import ast
import os
import py_compile
import subprocess
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, module_from_spec
from pathlib import Path
from types import ModuleType

import pytest

from launcher.cli.loading import MOST, Finder
from tests.conftest import ROOT

TAG = sys.implementation.cache_tag
FINDER = Finder(MAGIC_NUMBER, f".{TAG}.pyc")


def compiled(source: Path, text: str, mode: py_compile.PycInvalidationMode | None = None) -> Path:
    source.parent.mkdir(exist_ok=True)
    source.write_text(text)
    cached = py_compile.compile(str(source), doraise=True, invalidation_mode=mode)
    assert cached is not None
    return Path(cached)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    compiled(tmp_path / "room.py", "def where():\n    return __file__, __package__\n")
    return tmp_path / "room.py"


def test_a_compiled_module_is_taken_and_is_what_python_would_have_made(room: Path) -> None:
    spec = FINDER.find_spec("launcher.room", [str(room.parent)])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.where() == (str(room), "launcher")
    assert (module.__file__, module.__cached__) == (str(room), cache_from_source(str(room)))
    assert spec.loader.get_code("launcher.room").co_filename == str(room)  # type: ignore[attr-defined]
    assert spec.loader.get_source("launcher.room") == room.read_text()  # type: ignore[attr-defined]


def test_a_module_says_what_it_has_not_as_others_do(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = FINDER.find_spec("launcher.room", [str(room.parent)])
    assert spec is not None
    module = module_from_spec(spec)
    assert isinstance(module, ModuleType)
    assert repr(module) == f"<module 'launcher.room' from '{room}'>"
    assert not hasattr(module, "__path__")
    monkeypatch.setitem(sys.modules, "launcher.room", module)
    with pytest.raises(ImportError, match=r"cannot import name 'nothing' from 'launcher.room' \(.*room.py\)"):
        exec("from launcher.room import nothing")


@pytest.mark.parametrize("rooms", ["cli.up, launcher.api.launching", "executor.keeper.beginning"])
def test_until_a_guest_runs_nothing_is_imported_that_compiles_patterns_or_makes_enumerations(rooms: str) -> None:
    dear = "{'json', 're', 'enum', 'signal'}"
    program = (
        f"import sys; before = {{*sys.modules}}; import launcher.{rooms}; print({dear} & {{*sys.modules}} - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_package_is_one(tmp_path: Path) -> None:
    compiled(tmp_path / "floor" / "__init__.py", "")
    spec = FINDER.find_spec("launcher.floor", [str(tmp_path)])
    assert spec is not None
    assert spec.submodule_search_locations == [str(tmp_path / "floor")]


@pytest.mark.parametrize("name", ["launcher", "other.room"])
def test_what_is_not_below_our_name_is_left(room: Path, name: str) -> None:
    assert FINDER.find_spec(name, None if name == "launcher" else [str(room.parent)]) is None


def test_what_is_not_there_is_left(tmp_path: Path) -> None:
    assert FINDER.find_spec("launcher.room", [str(tmp_path)]) is None


def test_a_source_that_has_changed_since_is_left(room: Path) -> None:
    found = room.stat()
    os.utime(room, (found.st_atime, found.st_mtime + 1))
    assert FINDER.find_spec("launcher.room", [str(room.parent)]) is None
    room.write_text(room.read_text() + "#")
    os.utime(room, (found.st_atime, found.st_mtime))
    assert FINDER.find_spec("launcher.room", [str(room.parent)]) is None


def test_what_was_compiled_by_another_python_elsewhere_or_halfway_is_left(room: Path, tmp_path: Path) -> None:
    cached = Path(cache_from_source(str(room)))
    whole = cached.read_bytes()
    for odd in (b"", whole[:12], b"1234" + whole[4:], whole + bytes(MOST), whole[:-1], whole[:16], whole[:16] + b"N"):
        cached.write_bytes(odd)
        assert FINDER.find_spec("launcher.room", [str(tmp_path)]) is None
    cached.write_bytes(whole.replace(os.fsencode(room), os.fsencode(room.with_name("mood.py"))))
    assert FINDER.find_spec("launcher.room", [str(tmp_path)]) is None


def test_what_a_file_system_gives_in_parts_is_left(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read
    monkeypatch.setattr("os.read", lambda fd, most: read(fd, most // 2**10))
    assert FINDER.find_spec("launcher.room", [str(room.parent)]) is None


def test_no_module_of_ours_has_the_name_of_a_package() -> None:
    """Python would take the package, where we look for the module first."""
    modules = [path.with_suffix("") for path in (ROOT / "launcher").rglob("*.py")]
    assert modules
    assert not [path for path in modules if path.is_dir()]


def test_no_module_that_is_taken_answers_for_what_it_has_not() -> None:
    """Its own `__getattr__` (PEP 562) is asked by modules of Python only: on 3.11 nothing would come of it."""
    taken = {*(ROOT / "launcher").rglob("*.py")} - {ROOT / "launcher" / "__init__.py"}
    assert taken
    for path in taken:
        names = [one.name for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)]
        assert "__getattr__" not in names, path


def test_one_that_is_to_be_compared_by_its_content_is_left(tmp_path: Path) -> None:
    compiled(tmp_path / "room.py", "", py_compile.PycInvalidationMode.CHECKED_HASH)
    assert FINDER.find_spec("launcher.room", [str(tmp_path)]) is None


@pytest.mark.parametrize(
    ("options", "taken"), [([], True), (["-O"], False), (["-BX", "pycache_prefix=/nowhere"], False)]
)
def test_it_is_not_asked_where_compiled_files_are_elsewhere(options: list[str], *, taken: bool) -> None:
    program = "import sys; from launcher.cli import loading as one; one.install()"
    program += "; print(isinstance(sys.meta_path[0], one.Finder))"
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{taken}\n"
