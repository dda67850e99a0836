"""What a rule is: all that has been decided in, what is refused or warned of out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from launcher.errors import Diagnostic
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from launcher.planner.decided import Situation


class Rule(NamedTuple):
    """`kind`: kernel, what the kernel will refuse or do, which nothing lifts; policy, what we advise against, which
    the word of `allow` that its message names lifts, or which only warns."""

    kind: Literal["kernel", "policy"]
    check: Callable[[Situation], Iterator[Diagnostic]]
