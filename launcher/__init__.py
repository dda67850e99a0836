"""vmlaunch: a declarative launcher for KVM virtual machines that own real PCI devices."""
