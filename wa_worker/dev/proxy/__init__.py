"""The reference worker-proxy: the far side of the worker, contract v1 on SQLite.

For `wa-worker dev`, for tests and for benchmarks; docs/contract.md is the contract in words. It listens on
127.0.0.1 only and its data is as durable as a development database needs to be: not against a power cut.

rows.py    what it stores
store.py   where it stores that: SQLite
app.py     the worker's side, checked to the letter
admin.py   the operator's side: instances, messages, faults
faults.py  what may go wrong on demand
server.py  all of it on a port
"""

from .faults import ENDPOINTS, Fault, Faults
from .rows import InboundRow, InstanceRow, MessageId, MessageRow, StatusChange
from .server import Changes, ReferenceProxy, open_proxy
from .store import Store

__all__ = [
    "ENDPOINTS",
    "Changes",
    "Fault",
    "Faults",
    "InboundRow",
    "InstanceRow",
    "MessageId",
    "MessageRow",
    "ReferenceProxy",
    "StatusChange",
    "Store",
    "open_proxy",
]
