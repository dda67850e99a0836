"""`python -m launcher` is `vmlaunch`."""

from launcher.cli import command

if __name__ == "__main__":
    command()
