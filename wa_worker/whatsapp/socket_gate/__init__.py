"""The socket gate: what sessions send and receive passes through here, and nothing does once the lease has run out.

The library reconnects by itself, with keys that it has in its memory: no database can forbid that to a worker that was
paused and runs again, and the library has no switch for it. So where several workers share the instances, each session
goes out through a proxy of the worker's own, which reads the clock before each piece that it passes on. TLS stays
between the library and WhatsApp.

gate.py     the listener, and who may pass
opening.py  one session's way through, and how it is cut
stream.py   a connection that asks before each piece
request.py  the library's CONNECT, and its answer
way_out.py  the connection to the outside: straight, or through the proxy that would be used without the gate
"""

from __future__ import annotations

from wa_worker.whatsapp.socket_gate.gate import SocketGate

__all__ = ["SocketGate"]
