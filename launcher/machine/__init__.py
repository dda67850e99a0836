"""The guest's hardware as values. Pure."""
