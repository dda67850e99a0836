"""An engine's last words are told by a confined keeper, whatever they are."""

from __future__ import annotations

import subprocess
import sys

ODD = "\x1b[31mred\x00\u202e\ud800\U000e0001é'\\"


def test_nothing_is_imported_for_what_is_odd() -> None:
    said = ODD.encode(errors="surrogatepass") + b"\xff"
    program = f"""
import sys
from launcher.executor.keeper.last_words import last_words
before = {{*sys.modules}}
print(ascii(last_words({said!r})), {{*sys.modules}} - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = "\\x1b[31mred\\x00\\u202e\\xed\\xa0\\x80\\U000e0001é'\\\\xff"
    assert done.stdout == f"{(told,)!a} set()\n"
