"""(VmSpec, HostFacts, BootFiles) -> Plan. Pure."""
