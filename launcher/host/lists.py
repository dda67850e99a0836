"""The small languages of /sys and /proc in, numbers and words out: lists of ids, keyed lines, brackets. Pure."""

from __future__ import annotations

from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.values import Missing


def ids(text: str | Missing) -> tuple[int, ...]:
    """`0-7,16-23` -> the ids. Empty for an empty line, `(null)`, or a file that is not there."""
    found: list[int] = []
    for part in str_of(text).split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal():
            found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def kilobytes(text: str | Missing, key: str) -> int:
    """The bytes of a meminfo line such as `MemTotal:  2048 kB`; 0 if there is none."""
    for line in str_of(text).splitlines():
        words = line.split()
        if f"{key}:" in words:
            return int(words[words.index(f"{key}:") + 1]) * 1024
    return 0


def keyed(text: str | Missing, separator: str) -> dict[str, str]:
    """`KEY=value` or `Key:\\tvalue` lines."""
    pairs = (line.partition(separator) for line in str_of(text).splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def bracketed(text: str | Missing) -> str | None:
    """`none [integrity] confidentiality` -> integrity: the word that is chosen."""
    word, bracket, _ = str_of(text).partition("[")[2].partition("]")
    return word if bracket else None


def number(text: str | Missing, base: int = 10) -> int | None:
    """None for what is not there and for what is no number."""
    try:
        return int(str_of(text), base)
    except ValueError:
        return None


def str_of(text: str | Missing) -> str:
    return text if isinstance(text, str) else ""


def entries(names: tuple[str, ...] | Missing) -> tuple[str, ...]:
    """Of a folder; none of one that is not there."""
    return names if isinstance(names, tuple) else ()
