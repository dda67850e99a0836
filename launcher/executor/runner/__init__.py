"""The runner process: opens KVM and VFIO, shuts itself in, runs the guest, gives all back."""
