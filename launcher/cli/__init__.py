"""argv in, exit code out. Only the module of the verb in hand is imported; `--help` needs none of them."""

from __future__ import annotations

import sys
from importlib import import_module

from launcher.errors import LauncherError

VERSION = "0.1.0"

# verb -> (its module in this folder, what it does). The order is that of `vmlaunch --help`.
VERBS = {
    "plan": ("plan", "resolve a spec against a host and show what `up` would do"),
    "up": ("up", "run a spec or a saved plan"),
    "down": ("down", "stop a VM and put the host back"),
    "ps": ("ps", "list VMs"),
    "validate": ("validate", "check specs, on any machine"),
    "explain": ("explain", "explain a field of the spec or a code"),
    "schema": ("schema", "print a JSON Schema"),
    "completion": ("completion", "print a completion script for a shell"),
}
