"""The x86 PC as a board: its addresses, tables, CPUs, and how its kernels start. Pure."""
