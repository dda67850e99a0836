"""`re`, imported when it is first asked something: most starts ask nothing, and it takes as long as thirty rooms."""

from __future__ import annotations

__all__ = ["re"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
else:

    class _Later:
        def __getattr__(self, name: str) -> object:
            import re

            return getattr(re, name)

    re = _Later()
