"""The keeper process: privileged; it changes the host before a VM runs, and puts it back after.

Where there is no keeper any more, `down` does the second by the same rooms.
"""
