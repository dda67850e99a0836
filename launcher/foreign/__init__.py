"""A machine as libvirt or QEMU has it in, the same as a spec out, and what cannot be said, with its reason. Pure."""
