"""The C floor built with the sanitizers for addresses and undefined behaviour: a program, or a copy of the package."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NATIVE = ROOT / "launcher" / "native"
SANITIZE = ("-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BINDING = "_native.c"  # what cffi wrote


def hostile_program(folder: Path) -> Path:
    """hostile.c, a guest, with all of the C floor, its ioctl in place of the kernel's."""
    return _program(folder / "hostile", "-Wl,--wrap=ioctl")


def hostile_runner(folder: Path) -> Path:
    """hostile_runner.c, a runner that was taken over, with all of the C floor."""
    return _program(folder / "hostile_runner")


def _program(target: Path, *options: str) -> Path:
    own = Path(__file__).with_name(f"{target.name}.c")
    return _compile(target, [own, *(one for one in _sources() if one.name != BINDING)], *options, "-pthread")


def sanitized_module(target: Path) -> Path:
    """In place of launcher/native/_native.abi3.so."""
    include = f"-I{sysconfig.get_path('include')}"
    return _compile(target, _sources(), "-shared", "-fPIC", "-DPy_LIMITED_API", include)


def package_with(module: Path, folder: Path) -> Path:
    """`folder` becomes one for PYTHONPATH: `launcher` as it is, but for its compiled module."""
    shutil.copytree(ROOT / "launcher", folder / "launcher", ignore=shutil.ignore_patterns("*.so", "*.c", "*.h"))
    shutil.copy(module, folder / "launcher" / "native" / "_native.abi3.so")
    return folder


def environment(package: Path) -> dict[str, str]:
    """For a Python that imports it. What Python itself does not give back is not looked at."""
    library = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return {"PYTHONPATH": str(package), "LD_PRELOAD": library.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}


def _extension() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (extension,) = project["tool"]["setuptools"]["ext-modules"]
    return extension


def _sources() -> list[Path]:
    return [ROOT / one for one in _extension()["sources"]]


def _compile(target: Path, sources: list[Path], *options: str) -> Path:
    """As pyproject.toml has it, and sanitized."""
    flags = [*_extension()["extra-compile-args"], "-D_GNU_SOURCE", f"-I{NATIVE}", *SANITIZE]
    subprocess.run(["gcc", *flags, *sources, *options, "-o", target], check=True)
    return target
