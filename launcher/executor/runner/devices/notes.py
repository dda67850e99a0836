"""What had to be done without for a function, in; what its report says of it, out."""

from __future__ import annotations

from collections.abc import Callable

MOST_NOTES = 20
Say = Callable[[str], None]  # what the report should say of what had to be done without


class Notes:
    """Each only once, and not many: a guest may try for ever."""

    def __init__(self) -> None:
        self._by_subject: dict[str, str] = {}

    def say(self, text: str) -> None:
        self.say_about(text, text)

    def say_about(self, subject: str, text: str) -> None:
        """In place of what was said of it before."""
        if subject in self._by_subject or len(self._by_subject) < MOST_NOTES:
            self._by_subject[subject] = text

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self._by_subject.values())


def cause(error: OSError) -> str:
    return f"{error.strerror} ({error.filename or 'the device'})"
