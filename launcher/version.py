"""The version of vmlaunch, in one place."""

VERSION = "0.1.0"
