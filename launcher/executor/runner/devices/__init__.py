"""The functions that the guest sees on its bus, as the runner serves them."""
