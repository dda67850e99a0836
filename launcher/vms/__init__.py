"""VMs that run: their folder, lock, journal and control socket."""
