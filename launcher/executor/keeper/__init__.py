"""The keeper process: privileged; it changes the host before a VM runs, and puts it back after."""
