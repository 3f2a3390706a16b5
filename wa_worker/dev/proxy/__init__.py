"""The reference worker-proxy: the far side of the worker, both versions of the contract on SQLite.

For `wa-worker dev`, for tests and for benchmarks; docs/contract.md is the contract in words. It listens on
127.0.0.1 only and its data is as durable as a development database needs to be: not against a power cut.

rows.py      what it stores
database.py  where it stores that: SQLite
outbound.py  the queue of messages
store.py     instances, and what came in
changes.py   wakes those who wait for a change
fields.py    reads what a call has to have
calls.py     what a call does that writes
events.py    many of those in one call (version 2)
polling.py   what there is for a worker, held while there is nothing (version 2)
app.py       the worker's side: these as endpoints
admin.py     the operator's side: instances, messages, faults
faults.py    what may go wrong on demand; fault_layer.py plays it
server.py    all of it on a port
"""

from .changes import Changes
from .faults import ENDPOINTS, Fault, Faults
from .polling import Contract
from .rows import InboundRow, InstanceRow, MessageId, MessageRow, StatusChange, StatusDetails
from .server import ReferenceProxy, open_proxy
from .store import Store

__all__ = [
    "ENDPOINTS",
    "Changes",
    "Contract",
    "Fault",
    "Faults",
    "InboundRow",
    "InstanceRow",
    "MessageId",
    "MessageRow",
    "ReferenceProxy",
    "StatusChange",
    "StatusDetails",
    "Store",
    "open_proxy",
]
