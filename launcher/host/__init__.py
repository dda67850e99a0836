"""This host in, HostFacts out. Reads, never writes."""
