"""What any session is, for those of tests."""

from __future__ import annotations

import math
from pathlib import Path

from wa_worker.delivery.preparing import Preparing
from wa_worker.edge.link_fetch import LinkFetcher
from wa_worker.errors import RowError, SendDelayed
from wa_worker.messages import Content, MediaKind, OutgoingMessage, QueuedMessage, Text, UploadedFile
from wa_worker.models import InstanceId, Jid


def words(message: OutgoingMessage) -> str:
    """The body of a text."""
    assert isinstance(message.content, Text)
    return message.content.body


def preparing(folder: Path, limit: int = 2**20) -> Preparing:
    """What prepares messages, with links to this machine allowed."""
    return Preparing(LinkFetcher(limit, allow_private=True), folder / "out")


class Steady:
    """A session whose line has always been up, and whose store is no witness of what left."""

    steady = math.inf
    store_mark: str | None = None

    async def upload(self, kind: MediaKind, file: Path) -> UploadedFile:
        raise AssertionError("nothing is to be uploaded here")

    def show_typing(self, to: Jid, *, recording: bool = False, over: bool = False) -> None:
        raise AssertionError("nobody is to type here")


class Nothing:
    """Says of no message that it is ready."""

    def take(self, instance: InstanceId, row: QueuedMessage) -> Content | RowError | SendDelayed | None:
        return None

    def drop(self, instance: InstanceId, row: QueuedMessage) -> None:
        pass
