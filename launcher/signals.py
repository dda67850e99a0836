"""`signal` as the kernel has it: numbers that are numbers. Python's own makes an enumeration of them for each process,
which takes a start as long as ten of our modules.
"""

from __future__ import annotations

__all__ = ["signal", "signal_name"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal


def signal_name(number: int) -> str:
    """SIGKILL; `signal 40` for those without a name. Of several names the first by the alphabet, as in Python."""
    names = (name for name, one in vars(signal).items() if name[:3] == "SIG" and name[3:4] != "_" and one == number)
    return min(names, default=f"signal {number}")
