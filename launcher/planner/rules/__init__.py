"""What stops a plan and what it warns of: one small function for each failure that facts can foretell. Pure."""
