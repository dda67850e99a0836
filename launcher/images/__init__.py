"""The files that a spec names in, what they hold out: kernels, initial RAM disks, option ROMs. Reads, never writes."""
