"""`wa-worker backup` and `restore`: a volume as one sealed file, and back.

sealing.py    encryption in chunks: what is cut off, altered or reordered is noticed
databases.py  copies of SQLite files that others write, and checks of copies
contents.py   what is in a backup, and under which names
making.py     a volume to a backup, while the worker runs or as a move
restoring.py  a backup to an empty folder, all of it or nothing

No trio and no neonize: a command line is one thread. `journal/restored.py` is what a worker makes of a restored volume,
`ownership/closed.py` what keeps it from running on a volume that was moved.
"""
