"""Received files on their way, with real far sides: a media host over TLS, a proxy with its storage, a journal."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.proxy_fixture import SHOP, ProxyFixture, open_proxy_fixture, until
from wa_worker.config import Settings
from wa_worker.delivery.inbound import InboundDelivery
from wa_worker.delivery.media import MediaDelivery
from wa_worker.delivery.media_refusals import SPREAD, HostRefusals
from wa_worker.dev.proxy import Contract
from wa_worker.dev.simulator import Simulator, open_simulator
from wa_worker.dev.simulator.media_host import Behaviour
from wa_worker.dev.simulator.media_messages import EncryptedFile
from wa_worker.journal import Journal, open_journal
from wa_worker.messages import ChatType, InboundMessage, Media, MediaKind, MediaReference
from wa_worker.models import Jid, WaMessageId

ME = Jid("5511999990001@s.whatsapp.net")
_numbers = itertools.count(1)


@attrs.define
class MediaBed:
    simulator: Simulator
    fixture: ProxyFixture
    journal: Journal
    inbound: InboundDelivery
    media: MediaDelivery
    folder: Path
    nursery: trio.Nursery

    def receive(
        self, chat: int, data: bytes | None, *, declared: int | None = None, own: bool = False, **behaviour: Any
    ) -> str:
        """A message comes, with this file, or with a text; returns its id."""
        wa_id = f"W{next(_numbers)}"
        jid = Jid(f"55119888{chat:05}@s.whatsapp.net")
        message = InboundMessage(
            WaMessageId(wa_id), jid, ChatType.DIRECT, ME, jid, None, None, "", "text", 1_790_000_000
        )
        reference = None
        if data is not None:
            file = EncryptedFile.of("imageMessage", data)
            path = self.simulator.media.put(file.data)
            if behaviour:
                self.simulator.media.of[path.partition("?")[0]] = Behaviour(**behaviour)
            size = len(data) if declared is None else declared
            reference = MediaReference(MediaKind.IMAGE, path, file.media_key, file.enc_sha256, file.sha256, size)
            message = attrs.evolve(message, message_type="image", media=Media("image/jpeg"))
        message = attrs.evolve(message, from_me=True if own else None)
        self.journal.inbox.record(SHOP, message, file=reference)
        self.inbound.wakeup.ring()
        if reference is not None:
            self.media.wakeup.ring()
        return wa_id

    def start(self) -> None:
        self.nursery.start_soon(self.inbound.run)
        self.nursery.start_soon(self.media.run)

    def posted(self) -> list[tuple[str, dict[str, Any]]]:
        """The messages that the proxy has, with what they say of their files."""
        return [(row.wa_message_id, row.content.get("media") or {}) for row in self.fixture.proxy.store.inbound()]

    def of(self, wa_id: str) -> dict[str, Any]:
        return dict(self.posted())[wa_id]

    def bytes_of(self, wa_id: str) -> bytes | None:
        return self.fixture.proxy.storage.read(self.of(wa_id)["url"])

    def has(self, wa_id: str, **fields: str) -> bool:
        """Whether the proxy has the message, and that says this of its file, or names its `url`."""
        found = dict(self.posted()).get(wa_id)
        return found is not None and ("url" in found if not fields else fields.items() <= found.items())

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    async def all_delivered(self) -> None:
        await until(lambda: not self.journal.inbox.keys(0, 1))


@asynccontextmanager
async def open_media_bed(
    folder: Path,
    environment: pytest.MonkeyPatch,
    *,
    contract: Contract = 1,
    patience: float = 60.0,
    spread: float = SPREAD,
    **settings: str,
) -> AsyncIterator[MediaBed]:
    with open_journal(folder / "journal.db") as journal:
        async with (
            open_simulator() as simulator,
            open_proxy_fixture(SHOP, contract=contract) as fixture,
            trio.open_nursery() as nursery,
        ):
            given = simulator.environment(folder)
            environment.setenv("SSL_CERT_FILE", given["SSL_CERT_FILE"])
            chosen = Settings.from_environ({"EDGE_BASE_URL": fixture.proxy.url, "WORKER_SECRET": "s", **settings})
            files = folder / "files"
            media = MediaDelivery(journal.media, fixture.edge, fixture.metrics, files, chosen, given)
            inbound = InboundDelivery(journal.inbox, fixture.edge, fixture.metrics, patience=patience)
            media.decided = inbound.file_decided
            media.refusals = HostRefusals(spread)
            inbound.waits.is_late = media.refusals.lasts
            if contract == 2:
                fixture.edge.version.is_two()
            yield MediaBed(simulator, fixture, journal, inbound, media, files, nursery)
            nursery.cancel_scope.cancel()
