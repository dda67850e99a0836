"""Plan -> a running VM: the only place that changes the machine. keeper/ and runner/ are its processes.

What stands here runs in a client, or in more than one of them.
"""
