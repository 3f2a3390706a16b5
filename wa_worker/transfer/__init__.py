"""Moves instances between a volume (`AUTH_DIR`) and PostgreSQL (`STATE_URL`): `wa-worker state import` and `export`.

values.py     rows of SQLite as PostgreSQL's, and back
sessions.py   whatsmeow's tables of one instance
journal.py    the journal's rows of one instance, and what all instances share
marks.py      which move a volume and an instance are in: so that one that was cut off goes on
volumes.py    what is on a volume, and how it is held, closed and given up
importing.py  a volume to PostgreSQL, one transaction an instance
exporting.py  PostgreSQL to an empty folder

At no moment may both sides run an instance. A volume is closed (ownership/closed.py) before the first instance leaves
it, and opened after the last has arrived; in PostgreSQL nobody claims an instance whose `not_before` is infinity.

No trio and no neonize: a command line is one thread.
"""
