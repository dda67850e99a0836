"""pci.ids in, names of devices out: searched as one text, for a parse of its 40,000 lines would cost a start-up."""

from __future__ import annotations

from launcher.record import field, record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_PATHS = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")
_NOISE = ("Corporation", "Co., Ltd.", "Co Ltd", "Inc.", "Electronics", "Limited", "Ltd.", "Corp.")


@record
class Names:
    """`text` is pci.ids, or empty where the host has none. `known`: ten thousand virtual functions have one name."""

    text: str
    known: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def read(cls, tree: Tree) -> Names:
        found = (tree.read_text(path) for path in _PATHS)
        return cls(next((text for text in found if isinstance(text, str)), ""))

    def of(self, identity: str) -> str | None:
        """`10de:2684` -> `NVIDIA AD102 [GeForce RTX 4090]`; the maker alone if the device is not listed."""
        if identity not in self.known:
            self.known[identity] = self._search(identity)
        return self.known[identity]

    def _search(self, identity: str) -> str | None:
        vendor, _, device = identity.partition(":")
        start = self.text.find(f"\n{vendor}  ")
        if start < 0:
            return None
        maker = _rest_of_line(self.text, start + 7)
        found = self.text.find(f"\n\t{device}  ", start, _end_of_maker(self.text, start + 1))
        product = _rest_of_line(self.text, found + 8) if found >= 0 else ""
        return f"{_short(maker)} {product}".strip()


def _end_of_maker(text: str, start: int) -> int:
    """Lines of devices begin with a tab, comments with #; the next maker with neither."""
    while (start := text.find("\n", start) + 1) > 0:
        if text[start : start + 1] not in "\t#":
            return start
    return len(text)


def _rest_of_line(text: str, start: int) -> str:
    return text[start : text.find("\n", start)]


def _short(maker: str) -> str:
    """Without what a lawyer would add: a row of the plan has 100 columns."""
    words = maker.partition(",")[0]
    for noise in _NOISE:
        words = words.replace(f" {noise}", "")
    return words
