"""What went wrong, as values: Diagnostic, Where, and the error tree with its exit codes. Pure."""

from __future__ import annotations

from launcher.record import record, replace
from launcher.typed import Literal


@record(many=True)
class Where:
    """A place in a spec: 1-based line and column, end_column is the first column behind it.

    `file` is a path, `-` for stdin, or `--set #2`; `path` is the field, as in `devices.gpu.pci`.
    """

    file: str
    line: int = 0
    column: int = 0
    end_column: int = 0
    path: str = ""

    @property
    def is_set(self) -> bool:
        """In the text of a --set, not in a file."""
        return self.file.startswith("--set #")

    def __str__(self) -> str:
        if self.is_set and self.line:  # it has one line, and looks like none in a file
            return f"{self.file}, column {self.column}"
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@record
class Diagnostic:
    """One finding: a stable code, the fact, the place, the evidence, ways out.

    `help` are sentences; `fix` is the one command or the one YAML line that mends it, where there is one.
    """

    code: str
    message: str
    where: Where | None = None
    evidence: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    fix: str | None = None

    @property
    def severity(self) -> Literal["error", "warning"]:
        return "warning" if self.code.startswith("W") else "error"

    def at(self, where: Where | None) -> Diagnostic:
        return replace(self, where=where)

    def as_json(self) -> dict[str, object]:
        """The flat form of `plan --json`: no field is nested, and what is not known is null."""
        where = self.where or Where("")
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": where.file or None,
            "line": where.line or None,
            "column": where.column or None,
            "end_column": where.end_column or None,
            "path": where.path or None,
            "evidence": list(self.evidence),
            "help": list(self.help),
            "fix": self.fix,
        }


def sorted_by_place(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In the order a reader of the file meets them; what has no place comes last."""

    def key(one: Diagnostic) -> tuple[bool, str, int, int, str]:
        where = one.where or Where("")
        return (one.where is None, where.file, where.line, where.column, one.code)

    return tuple(sorted(diagnostics, key=key))


BUG = 70  # the exit code of a process that failed in a way it should not


class LauncherError(Exception):
    """Something the user can act on. `diagnostics` is never empty; `exit_code` is what a command then ends with."""

    exit_code = 1

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{one.code}: {one.message}" for one in diagnostics))
        self.diagnostics = diagnostics


class Refused(LauncherError):
    """The spec is invalid or the plan has a blocker. Nothing was changed."""


class WrongUsage(LauncherError):
    """The words of the command make no sense, whatever the spec or the host."""

    exit_code = 2


class NotPermitted(LauncherError):
    exit_code = 4


class NoSuchVm(LauncherError):
    exit_code = 7


class StalePlan(LauncherError):
    """A saved plan no longer fits this host. Nothing was changed."""

    exit_code = 10


class StepFailed(LauncherError):
    """A step of the plan failed and the host is as it was."""

    exit_code = 11


class HostNotRestored(LauncherError):
    """Something failed and the host is not as it was; what is left is in the journal."""

    exit_code = 12


class GuestFailed(LauncherError):
    """The guest did not do what was waited for."""

    exit_code = 13
