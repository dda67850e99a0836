"""Configuration space: its sizes, and which function is the machine's own."""

HOST_BRIDGE = 0  # slot 0, function 0
CONFIG_SIZE = 4096
CONVENTIONAL_CONFIG = 256  # the rest is of PCI Express functions alone; of others it reads all ones
