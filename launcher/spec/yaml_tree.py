"""YAML text in, a tree of Nodes with their places out, and what is wrong with the text. Pure."""

from __future__ import annotations

from launcher.spec.yaml_plain import read_plain
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.spec.places import Tree


def read_tree(text: str, file: str) -> Tree:
    if found := read_plain(text, file):
        return found
    from launcher.spec.yaml_whole import read_whole

    return read_whole(text, file)
