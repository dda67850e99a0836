"""The same way for programs: read a spec, survey a host, make a plan, bring it up. docs/api.md shows it in use."""
