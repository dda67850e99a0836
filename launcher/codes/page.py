"""What there is to know about one code, as a record. Pure."""

from __future__ import annotations

from launcher.record import record


@record
class Explanation:
    """What `vmlaunch explain CODE` prints. `example` is the YAML (or command) that provokes it.

    `known`: the devices of which it is known, a line each.
    """

    code: str
    title: str
    cause: str
    example: str
    fix: str
    known: tuple[str, ...] = ()
