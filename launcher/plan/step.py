"""What each sentence of a plan can say of itself. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.typed import ClassVar, Literal

Mark = Literal["~", "+", "=", "!"]  # changes the host | belongs to the VM | already so | would stop the plan
Doer = Literal["keeper", "runner"]


@record
class Step:
    """`op` names it in JSON, `by` says which process performs it, `undo` what `down` does (empty: nothing).

    `once`: each plan has one step of this kind. Of another kind it has as many as it needs, or none.
    """

    op: ClassVar[str]
    by: ClassVar[Doer] = "runner"
    mark: ClassVar[Mark] = "+"
    undo: ClassVar[str] = ""
    once: ClassVar[bool] = False

    def describe(self) -> str:
        raise NotImplementedError

    @property
    def device(self) -> str | None:
        return None

    @property
    def on_down(self) -> str:
        """`undo` for people; a step that knows its host says more."""
        return self.undo
