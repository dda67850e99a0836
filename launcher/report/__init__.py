"""Data in, words out: on a terminal, a pipe, as JSON."""
