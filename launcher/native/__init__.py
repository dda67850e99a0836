"""The C floor: run loop, traps, serial, memory. `lib` and `ffi` of the compiled module."""

from launcher.native._native import ffi, lib

__all__ = ["ffi", "lib"]
