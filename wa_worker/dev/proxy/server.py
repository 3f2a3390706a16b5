"""Serves the reference proxy on 127.0.0.1, inside the caller's Trio run.

Owns the port and its connections (loopback.py keeps them, http_server.py speaks HTTP on each), so that it can
count them, cut one, go down and come up on the same port, and stop at once with idle clients around. Leaving
`open_proxy` closes all connections without waiting for anybody; state changes are never left half done.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import trio

from wa_worker.dev.loopback import HOST, OpenConnections, bind
from wa_worker.monitoring.http_server import HttpServer, Receive, Scope, Send

from .admin import create_admin
from .app import create_app
from .changes import Changes
from .fault_layer import FaultLayer
from .faults import Faults
from .polling import Contract, Polling
from .storage import PATH as STORAGE
from .storage import Storage
from .store import Store

T = TypeVar("T")

# Longer than a worker's longest usual pause between two requests: its connections should outlive its poll
# interval.
_KEEP_ALIVE_SECONDS = 75

_MAX_BODY = 1024 * 1024
"""Bytes: as much as the Edge Function takes. A text of 65,536 characters takes a quarter of it, or less."""

_LARGER = {"/poll": 2 * _MAX_BODY, "/events": 2 * _MAX_BODY}
"""Twice what a worker puts into a call of version 2, so that nothing hangs on who counts how."""

_COPIES_LAST = 5.0
"""Seconds, at most, for which a process that is being started may have a copy of a socket of ours."""


class ReferenceProxy:
    """Controls a running proxy. `url` is what a worker takes as EDGE_BASE_URL.

    connections_opened: connections accepted since it started, the admin side's included.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        store: Store,
        storage: Storage,
        faults: Faults,
        changed: Changes,
        *,
        secret: str,
        bound: socket.socket,
    ) -> None:
        self.store = store
        self.storage = storage
        self.faults = faults
        self.changed = changed
        self.secret = secret
        self.connections_opened = 0
        self._nursery = nursery
        self._serving: trio.CancelScope | None = None  # None while it is down
        self._listener: trio.SocketListener | None = None
        self._bound = bound
        self.port: int = self._bound.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._polling = Polling(store, changed)
        app = create_app(store, self._polling, storage, secret=secret)
        admin = create_admin(
            store, faults, self._polling, storage, secret=secret, connections=lambda: self.connections_opened
        )
        app.register_blueprint(admin)

        async def whole(scope: Scope, receive: Receive, send: Send) -> None:
            await (storage if scope["path"] == STORAGE else cast(Any, app))(scope, receive, send)

        layer = FaultLayer(whole, faults, on_request=self._on_request, cut=self._cut)
        server = HttpServer(
            layer, keep_alive=_KEEP_ALIVE_SECONDS, max_body=_MAX_BODY, larger=_LARGER, streamed=(STORAGE,)
        )
        self._connections = OpenConnections(server)

    @property
    def connections_open(self) -> int:
        return len(self._connections)

    @property
    def contract(self) -> Contract:
        """The version that it speaks. Setting it to 1 ends held answers with 404: the calls are gone."""
        return self._polling.contract

    @contract.setter
    def contract(self, contract: Contract) -> None:
        self._polling.contract = contract

    @property
    def want(self) -> tuple[str, ...] | None:
        """The kinds of messages that it wants to hear of; None: it says nothing of that, as an older proxy does."""
        return self._polling.want

    @want.setter
    def want(self, want: tuple[str, ...] | None) -> None:
        self._polling.want = want

    def play_older(self) -> None:
        """Makes it a proxy of before files, receipts, events, codes and shards: it has none of their calls, and says
        nothing of them. Which version it speaks is another matter: `contract`."""
        self.store.play_older()
        self.want = None
        self.knows_shards = False

    @property
    def knows_shards(self) -> bool:
        """Whether it knows the words `shard` and `peers` of POST /poll. Polls that are held already keep theirs."""
        return self._polling.knows_shards

    @knows_shards.setter
    def knows_shards(self, knows: bool) -> None:
        self._polling.knows_shards = knows

    @property
    def longest_hold(self) -> float:
        """Seconds for which POST /poll is held at most. Those that are held already keep their time."""
        return self._polling.longest_hold

    @longest_hold.setter
    def longest_hold(self, seconds: float) -> None:
        self._polling.longest_hold = seconds

    async def wait_for(self, predicate: Callable[[Store], T]) -> T:
        """Short for `changed.wait`."""
        return await self.changed.wait(predicate)

    async def up(self) -> None:
        """Listen again, on the same port and with the same state. Nothing happens if it listens already."""
        await trio.lowlevel.checkpoint()
        if self._serving is None:
            self._bound.listen(1024)
            self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._bound))
            self._serving = trio.CancelScope()
            self._nursery.start_soon(self._serve, self._listener, self._serving)

    async def down(self) -> None:
        """Refuse connections and close those that are open, whatever they are doing. Idempotent."""
        await trio.lowlevel.checkpoint()
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None
            self._close_port()
            self.close_connections()
            # A port that is bound but does not listen refuses connections, and nobody who asks for a free one
            # gets it.
            self._bound = await _bind_again(self.port)

    def close_connections(self) -> None:
        """Close every open connection and go on listening, as a load balancer does when it restarts."""
        self._connections.close_all()

    def close(self) -> None:
        """Release the port and the connections. Whoever calls it has cancelled the nursery."""
        self.close_connections()
        self._close_port()

    def _close_port(self) -> None:
        if self._listener is not None:
            self._listener.socket.close()  # through Trio, which may be waiting on it
            self._listener = None
        self._bound.close()

    async def _serve(self, listener: trio.SocketListener, scope: trio.CancelScope) -> None:
        with scope:
            async with listener:
                await trio.serve_listeners(self._talk, [listener])

    async def _talk(self, stream: trio.SocketStream) -> None:
        self.connections_opened += 1
        try:
            await self._connections.serve_connection(stream)
        finally:
            self.changed.ring()

    def _on_request(self, endpoint: str) -> None:
        self.store.requests[endpoint] += 1
        self.changed.ring()

    async def _cut(self, scope: Scope) -> None:
        await trio.lowlevel.checkpoint()
        self._connections.close(tuple(scope["client"]))


async def _bind_again(port: int) -> socket.socket:
    """Binds a port that has just been closed. A process that is being started has a copy of every descriptor for a
    moment, the listening socket's too: until then the port is in use."""
    with trio.fail_after(_COPIES_LAST):
        while True:
            try:
                return bind(port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            await trio.sleep(0.005)


@asynccontextmanager
async def open_proxy(
    database: Path | str = ":memory:",
    *,
    secret: str,
    port: int = 0,
    text_ids: bool = False,
    contract: Contract = 2,
) -> AsyncIterator[ReferenceProxy]:
    """Yields a proxy that listens until the block is left. Raises OSError if the port is taken.

    text_ids: message ids are UUIDs instead of numbers. contract: the version that it speaks.
    What the block raises leaves it in an exception group: there is a nursery around it.
    """
    changed = Changes(lambda: store)
    store = Store(database, text_ids=text_ids, on_change=changed.ring)
    storage = Storage(store, database, secret)
    try:
        bound = bind(port)
        async with trio.open_nursery() as nursery:
            proxy = ReferenceProxy(nursery, store, storage, Faults(), changed, secret=secret, bound=bound)
            proxy.contract = contract
            try:
                await proxy.up()
                yield proxy
            finally:
                nursery.cancel_scope.cancel()
                proxy.close()
    finally:
        storage.close()
        store.close()
