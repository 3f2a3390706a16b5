"""What the outside may ask the running worker.

readiness.py    whether it does its work now, and why not
loop_lag.py     how late the event loop wakes a task
connections.py  how many connections a port has, and which one ends for a new one
http_server.py  HTTP/1.1 on one connection, on hypercorn's parts
bearer.py       the check of a bearer token
instances.py    `/instances`: what each instance is doing
health.py       `/health`, `/ready`, `/metrics` and `/instances`, on one port
"""
