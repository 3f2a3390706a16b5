"""What the outside may ask the running worker.

readiness.py    whether it does its work now, and why not
loop_lag.py     how late the event loop wakes a task
http_server.py  HTTP/1.1 on one connection, on hypercorn's parts
health.py       `/health`, `/ready` and `/metrics`
"""
