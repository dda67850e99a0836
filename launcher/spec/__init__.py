"""YAML text in, VmSpec out, with the place of every field. Knows no host."""
