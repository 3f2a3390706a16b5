"""The files of a fault run: documents that are sent, photos, voice notes and documents that contacts write.

What is random in a file is drawn by the seed, so that its hash is known before it goes on its way.
"""

from __future__ import annotations

import hashlib
import random

import trio

from tests.e2e.world import World
from tests.faults.account import Account
from tests.faults.traffic import Traffic
from tests.known_by import hash_at_contact, hash_at_proxy, read
from tests.link_host import LinkHost
from wa_worker.dev.simulator.media_messages import has_file

FILES = 6
"""Files per instance and direction."""

SMALLEST, LARGEST = 1_000, 300_000
"""Bytes of a file."""


class FileTraffic:
    """Writes the files of a run, over `length` seconds; their messages count among those of `traffic`."""

    def __init__(self, world: World, traffic: Traffic, host: LinkHost, seed: int, length: float) -> None:
        self._world = world
        self._traffic = traffic
        self._host = host
        self._rng = random.Random(f"files {seed}")
        self._pause = 2 * length / FILES
        self.written: dict[str, str] = {}
        """What contacts wrote: the SHA-256 of each file, in hex, and whom to."""
        self.queued: dict[str, str] = {}
        """The same of what is sent, by file name."""

    async def write_out(self, name: str) -> None:
        for n in range(FILES):
            await trio.sleep(self._rng.uniform(0, self._pause))
            data = self._data()
            filename = f"{name} file {n}.bin"
            link = self._host.serve(f"/{name}/{n}", data, headers={"Content-Type": "application/octet-stream"})
            self.queued[filename] = hashlib.sha256(data).hexdigest()
            to = self._traffic.contact(name, "a", self._rng.randrange(3)).phone
            self._world.proxy.store.queue_row(name, to, type="document", media={"link": link, "filename": filename})
        self._traffic.out += FILES

    async def write_in(self, name: str) -> None:
        for n in range(FILES):
            await trio.sleep(self._rng.uniform(0, self._pause))
            data = self._data()
            contact = self._traffic.contact(name, "b", self._rng.randrange(3))
            files = contact.files
            if n % 3 == 0:
                message = files.image(data, f"{name} photo {n}")
            elif n % 3 == 1:
                message = files.voice(data)
            else:
                message = files.document(data, f"{name} document {n}.pdf")
            sha256 = hashlib.sha256(data).hexdigest()
            self.written[sha256] = name
            self._traffic.inbound.add(sha256)
            await contact.send(self._world.jids[name], message)

    def _data(self) -> bytes:
        return self._rng.randbytes(self._rng.randint(SMALLEST, LARGEST))


def damaged_out(traffic: Traffic, files: FileTraffic) -> list[str]:
    """Files that contacts got and that are not what was queued."""
    found = []
    for contact in (each for name in traffic.names for each in traffic.contacts(name)):
        for received in contact.received:
            if has_file(received.message):
                filename, sha256 = read(received.message, ""), hash_at_contact(contact, received.message)
                if sha256 != files.queued[filename]:
                    found.append(f"{filename}: {sha256[:40]}")
    return found


def files_in(account: Account, world: World, traffic: Traffic, files: FileTraffic) -> None:
    """Fills in what became of the files that contacts wrote: what the proxy can read is theirs, whole."""
    for name in traffic.names:
        for row in world.proxy.store.inbound(name):
            if media := row.content.get("media"):
                sha256 = hash_at_proxy(world.proxy.storage, row)
                account.came_late += row.payload["media"].get("error") == "pending"
                if sha256 is None:
                    account.lost_files.append(f"{name} {media['sha256'][:8]}: {media.get('error')}")
                elif sha256 != media["sha256"] or files.written.get(sha256) != name:
                    account.damaged_files.append(f"{name} {media['sha256'][:8]}")
