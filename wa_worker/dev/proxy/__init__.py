"""The reference worker-proxy: the far side of the worker, both versions of the contract on SQLite.

For `wa-worker dev`, for tests and for benchmarks; docs/contract.md is the contract in words. It listens on
127.0.0.1 only and its data is as durable as a development database needs to be: not against a power cut.

rows.py      what it stores
database.py  where it stores that: SQLite
outbound.py  the queue of messages
received.py  what came in, and what became of what went out
store.py     instances
storage.py   files, by signed URLs
changes.py   wakes those who wait for a change
fields.py    reads what a call has to have
shapes.py    says what a value has to look like
content.py   what a message may hold, in such shapes
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
from .rows import (
    EventRow,
    FileRow,
    InboundRow,
    InstanceRow,
    MessageId,
    MessageRow,
    ReceiptRow,
    StatusChange,
    StatusDetails,
)
from .server import ReferenceProxy, open_proxy
from .storage import Storage
from .store import Store

__all__ = [
    "ENDPOINTS",
    "Changes",
    "Contract",
    "EventRow",
    "Fault",
    "Faults",
    "FileRow",
    "InboundRow",
    "InstanceRow",
    "MessageId",
    "MessageRow",
    "ReceiptRow",
    "ReferenceProxy",
    "StatusChange",
    "StatusDetails",
    "Storage",
    "Store",
    "open_proxy",
]
