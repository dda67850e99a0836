"""A Plan in, a running VM out. The only place that changes the machine."""
