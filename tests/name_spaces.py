"""Whether this process may make a user name space, in which engines live: below a plain chroot nobody may."""

from __future__ import annotations

import pytest

from launcher.kernel.name_spaces import user_name_space

ANSWER = user_name_space()
needs_name_spaces = pytest.mark.skipif(ANSWER != "made", reason=f"no user name space is to be had here: {ANSWER}")
