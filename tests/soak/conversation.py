"""What is said in the churn: texts, and among ten of them a file, an edit and a reaction; each way, with read receipts.

Each message is known by what is in it (tests/known_by.py), so each is unique. What is about another message names one
that arrived; where there is none yet, a text is said instead.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from functools import partial

from tests.e2e.world import World
from tests.known_by import edited, hash_at_contact, hash_at_proxy, reacted
from tests.link_host import LinkHost
from wa_worker.dev.simulator.contact import Contact, Received
from wa_worker.dev.simulator.media_messages import has_file
from wa_worker.dev.simulator.protobufs import Message

FILE, EDIT, REACTION = 3, 5, 7
"""Which of ten messages is one."""

SMALLEST, LARGEST = 1_000, 500_000
"""Bytes of a file."""

READ = 0.5
"""The share of messages that contacts read, and tell so."""


class Conversation:
    """Says what an instance sends and what it is sent, each message by a call."""

    def __init__(self, world: World, links: LinkHost, rng: random.Random) -> None:
        self._world = world
        self._links = links
        self._rng = rng
        self._counts: Counter[str] = Counter()
        self._theirs: dict[str, list[str]] = defaultdict(list)
        """Ids of the texts of contacts that nothing is about yet, by instance."""
        self._about: set[str] = set()
        """Ids of the messages of ours that something is about."""
        self.files_in: dict[str, str] = {}
        """The SHA-256 of each file that was written, in hex: whom to."""
        self.files_out: dict[str, str] = {}
        """The same of what was queued, by file name."""
        self.kinds: Counter[str] = Counter()
        """How many messages of each kind were queued or written."""

    def write_out(self, name: str, contact: Contact, text: str) -> None:
        contact.on_message = partial(self._read, contact)
        store, kind = self._world.proxy.store, self._next(f"out {name}")
        target = self._target_out(name) if kind in (EDIT, REACTION) else None
        if kind == FILE:
            data, filename = self._data(), f"{text}.bin"
            link = self._links.serve(f"/{len(self.files_out)}", data)
            self.files_out[filename] = hashlib.sha256(data).hexdigest()
            store.queue_row(name, contact.phone, type="document", media={"link": link, "filename": filename})
        elif kind == EDIT and target:
            store.queue_row(name, contact.phone, type="edit", edit={"message_id": target}, body=text)
        elif kind == REACTION and target:
            store.queue_row(name, contact.phone, type="reaction", reaction={"message_id": target, "emoji": "\u2764"})
        else:
            store.queue(name, contact.phone, text)
            kind = 0
        self._count("out", kind)

    async def write_in(self, name: str, jid: str, contact: Contact, text: str) -> None:
        """Raises UnknownDevice."""
        kind, theirs = self._next(f"in {name}"), self._theirs[name]
        if kind == FILE:
            data = self._data()
            self.files_in[hashlib.sha256(data).hexdigest()] = name
            await contact.send(jid, contact.files.image(data, text))
        elif kind == EDIT and theirs:
            await contact.send(jid, Message(**edited(contact.jid, theirs.pop(), text)))
        elif kind == REACTION and theirs:
            await contact.send(jid, Message(**reacted(contact.jid, theirs.pop(), "\u2764")))
        else:
            theirs.append(await contact.send(jid, text))
            kind = 0
        self._count("in", kind)

    def broken(self, contacts: list[Contact]) -> list[str]:
        """The files that arrived, at a contact or at the proxy, and are not what was sent."""
        found = []
        for contact in contacts:
            for received in contact.received:
                if has_file(received.message):
                    filename, sha256 = received.message.documentMessage.fileName, None
                    sha256 = hash_at_contact(contact, received.message)
                    if sha256 != self.files_out[filename]:
                        found.append(f"{filename}: {sha256[:40]}")
        for row in self._world.proxy.store.inbound():
            if "media" in row.content:
                kept = hash_at_proxy(self._world.proxy.storage, row)
                if kept is None or self.files_in.get(kept) != row.instance_id:
                    found.append(f"{row.instance_id} {row.body}: {row.content['media'].get('error')}")
        return found

    def unfinished(self) -> int:
        """Rows of the journal that still have to go somewhere."""
        with closing(sqlite3.connect(self._world.auth_dir / "@worker" / "journal.db")) as journal:
            (rows,) = journal.execute(
                "SELECT (SELECT count(*) FROM inbox WHERE state = 'pending') + "
                "(SELECT count(*) FROM ledger WHERE state NOT IN ('marked', 'failed')) + "
                "(SELECT count(*) FROM media) + (SELECT count(*) FROM receipts WHERE due AND told < rank)"
            ).fetchone()
        return int(rows)

    def left(self) -> list[str]:
        """Names of the files on the volume that are only there on their way."""
        folders = (self._world.auth_dir / "@worker" / name for name in ("received-files", "files-to-send"))
        return [f"{folder.name}/{file.name}" for folder in folders if folder.is_dir() for file in folder.iterdir()]

    def _next(self, who: str) -> int:
        self._counts[who] += 1
        return self._counts[who] % 10

    def _count(self, way: str, kind: int) -> None:
        names = {FILE: "files", EDIT: "edits", REACTION: "reactions", 0: "texts"}
        self.kinds[f"{names[kind]} {way}"] += 1

    def _target_out(self, name: str) -> str | None:
        for row in self._world.proxy.store.messages(name, last=20):
            if row.status == "sent" and row.content is None and row.wa_message_id not in self._about:
                assert row.wa_message_id is not None
                self._about.add(row.wa_message_id)
                return row.wa_message_id
        return None

    def _data(self) -> bytes:
        return self._rng.randbytes(self._rng.randint(SMALLEST, LARGEST))

    async def _read(self, contact: Contact, received: Received) -> None:
        device = self._world.simulator.devices.get(received.from_device)
        if device is not None and self._rng.random() < READ:
            await contact.send_receipt(received.from_device, received.wa_id, "read")
