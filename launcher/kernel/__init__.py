"""The kernel's handles: one class per descriptor, one method per ioctl."""
