"""Who may run what: one worker has a volume, or several workers share the instances of one database (`STATE_URL`).

volume.py      the lock on AUTH_DIR
closed.py      why no worker may run on a volume, though nobody holds its lock

lease.py       the rules of several workers, and their constants: pure
owner.py       what one worker does next: pure, step by step
steps.py       the steps; line.py the connection for them
sessions.py    what the keeper needs of the rest
claims.py      the steps in PostgreSQL; statements.py their SQL, schemas.py the names that carry the token
deadline.py    when a worker must have let go of what it leases
watchdog.py    the thread that sees to that
lease_metrics.py its metrics
keeper.py      the task that takes the steps, and what the fleet asks; notices.py what the fleet tells

Only claims.py and schemas.py, and keeper.py with them, import psycopg.
"""
