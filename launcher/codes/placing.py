"""Explanations of the E57x codes: what a scheduler gives, and many hosts at once."""

from __future__ import annotations

from launcher.codes.page import Explanation

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E572",
        "--only does not name devices",
        "`--only` takes the host addresses of PCI functions between commas. A group number, an index, an alias of the "
        "spec or a path in /dev means another device on another day, so none of them is taken.",
        "vmlaunch plan vm.yaml --only gpu",
        "`vmlaunch devices` lists the addresses of this host.",
    ),
)
