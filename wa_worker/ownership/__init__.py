"""Who may run what: today one worker at a time for a whole volume.

volume.py   the lock on AUTH_DIR
deadline.py when a worker must have let go of what it leases
watchdog.py the thread that sees to that
closed.py   why no worker may run on a volume, though nobody holds its lock
"""
