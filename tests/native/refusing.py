"""vmlaunch with tests/native/refuse_at.c preloaded: from here on its calls are counted."""

import ctypes
import sys

from launcher.cli import command

arm = ctypes.CDLL(None).refuse_arm
arm(1)
code = command()
arm(0)
sys.exit(code)
