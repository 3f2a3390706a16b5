"""Who may run what: today one worker at a time for a whole volume.

volume.py  the lock on AUTH_DIR
closed.py  why no worker may run on a volume, though nobody holds its lock
"""
