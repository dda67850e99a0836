"""vmlaunch on a host whose engines are in this folder: `python -m tests.kvm.other_engines FOLDER up ...`."""

from __future__ import annotations

import sys

from launcher.cli import main
from launcher.host import engines

if __name__ == "__main__":
    engines._PATHS = (sys.argv[1],)  # type: ignore[assignment]
    sys.exit(main(sys.argv[2:]))
