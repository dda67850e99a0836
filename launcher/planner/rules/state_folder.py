"""Rules about the folder for a VM's state: that there is one, and that its path is short enough. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

# sun_path has 108 bytes, with the NUL (unix(7)).
_LONGEST_PATH, _SOCKET = 107, "control.sock"


def _none(it: Situation) -> Iterator[Diagnostic]:
    if it.host.process.state_folder is None:
        help_ = ("log in through PAM, or set XDG_RUNTIME_DIR to a folder of yours",)
        yield Diagnostic("E424", "there is no place for the VM's state: XDG_RUNTIME_DIR is not set", help=help_)


def _long_path(it: Situation) -> Iterator[Diagnostic]:
    folder = it.host.process.state_folder
    path = f"{folder}/{it.spec.name}/{_SOCKET}"
    if folder and (length := len(path.encode(errors="surrogatepass"))) > _LONGEST_PATH:
        fact = f"the control socket's path would have {length} bytes, and Linux takes {_LONGEST_PATH}: {path}"
        help_ = ("set XDG_RUNTIME_DIR to a folder with a shorter path", "or give the VM a shorter name")
        yield Diagnostic("E429", fact, help=help_)


RULES: tuple[Rule, ...] = (
    Rule("policy", _none),
    Rule("kernel", _long_path),
)
