"""The C floor: run loop, traps, serial, memory."""
