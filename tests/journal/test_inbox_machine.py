"""P3 under any interleaving of deliveries, posts and crashes: the inbox against a model."""

from __future__ import annotations

import enum
from collections import Counter, defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from tests.journal.machine import CHATS, FEWER, SETTINGS, SHOP, Machine
from tests.journal.rows import ME
from wa_worker.journal import InboxResult
from wa_worker.messages import ChatType, InboundMessage
from wa_worker.models import Jid, WaMessageId


class Post(enum.Enum):
    """What becomes of a post to /inbound."""

    ACCEPTED = "a 2xx"
    UNHEARD = "no answer, and not heard"
    UNANSWERED = "no answer, but heard"
    REFUSED = "a 4xx"
    DEAD = "the last 4xx"
    DIED = "a 2xx, and the process died before it was on disk"


class InboxMachine(Machine):
    """It is WhatsApp, which delivers and redelivers, and the proxy, which remembers what it was posted."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: dict[Jid, list[str]] = defaultdict(list)
        self.known: dict[Jid, set[str]] = defaultdict(set)
        self.settled: set[tuple[Jid, str]] = set()
        self.heard: list[tuple[Jid, str]] = []

    @rule(chat=st.sampled_from(CHATS), number=st.integers(0, 12))
    def deliver(self, chat: Jid, number: int) -> None:
        wa_id = WaMessageId(f"M{number}")
        message = InboundMessage(wa_id, chat, ChatType.DIRECT, ME, chat, None, None, f"body {number}", "text", 0)
        assert self.journal.inbox.record(SHOP, message) == (wa_id not in self.known[chat])
        if wa_id not in self.known[chat]:
            self.known[chat].add(wa_id)
            self.pending[chat].append(wa_id)
            self.settled.discard((chat, wa_id))

    @rule(
        after=st.integers(0, 3), keys=st.integers(1, 3), batch=st.integers(1, 4), posts=st.lists(st.sampled_from(Post))
    )
    def post(self, after: int, keys: int, batch: int, posts: list[Post]) -> None:
        """Some keys, some rows of each; `posts` are the answers, then all are accepted."""
        for key in self.journal.inbox.keys(after, keys):
            for row in self.journal.inbox.pending(key, batch):
                chat, wa_id = row.message.chat, row.message.wa_id
                assert (chat, wa_id) not in self.settled, "P3: nothing is posted again once it is settled"
                assert wa_id == self.pending[chat][0], "P3: in order per chat"
                answer = posts.pop(0) if posts else Post.ACCEPTED
                if answer in (Post.ACCEPTED, Post.UNANSWERED, Post.DIED):
                    self.heard.append((chat, wa_id))
                match answer:
                    case Post.ACCEPTED:
                        self.settle(row.seq, chat, None, dead=False)
                    case Post.DEAD:
                        self.settle(row.seq, chat, "400", dead=True)
                    case Post.REFUSED:
                        self.journal.inbox.settle([InboxResult(row.seq, "400")])
                        break
                    case Post.DIED:
                        self.die()
                        return
                    case _:
                        break

    def settle(self, seq: int, chat: Jid, error: str | None, *, dead: bool) -> None:
        self.journal.inbox.settle([InboxResult(seq, error, dead)])
        self.settled.add((chat, self.pending[chat].pop(0)))

    @rule()
    def crash(self) -> None:
        self.die()

    @rule()
    def purge(self) -> None:
        """Long after: what was posted is forgotten, so that WhatsApp's next copy of it would be a new message."""
        with self.journal.database.reading() as sql:
            rows = sql.execute(
                "SELECT c.jid, i.wa_id FROM inbox AS i JOIN chats AS c ON c.id = i.chat WHERE i.state = 'posted'"
            ).fetchall()
        assert self.journal.inbox.purge(-1.0) == len(rows)
        for chat, wa_id in rows:
            self.known[Jid(chat)].discard(wa_id)

    @invariant()
    def all_is_there_and_in_order(self) -> None:
        on_disk: dict[Jid, list[str]] = {}
        for key in self.journal.inbox.keys(0, 100):
            rows = self.journal.inbox.pending(key, 100)
            on_disk[rows[0].message.chat] = [row.message.wa_id for row in rows]
            assert {row.instance for row in rows} == {SHOP}
        assert on_disk == {chat: waiting for chat, waiting in self.pending.items() if waiting}
        with self.journal.database.reading() as sql:
            states = Counter(row[0] for row in sql.execute("SELECT state FROM inbox"))
        assert states.total() == sum(map(len, self.known.values()))
        assert states["pending"] == sum(map(len, self.pending.values()))

    def teardown(self) -> None:
        """Once the proxy is well, everything that was delivered has been posted or set aside."""
        try:
            self.post(0, 100, 100, [])
            assert self.journal.inbox.keys(0, 100) == []
        finally:
            super().teardown()


InboxMachine.TestCase.settings = SETTINGS
TestInbox = InboxMachine.TestCase


class InboxMachineOnPostgres(InboxMachine):
    on_postgres = True


InboxMachineOnPostgres.TestCase.settings = FEWER
TestInboxOnPostgres = pytest.mark.usefixtures("machines_on_postgres")(InboxMachineOnPostgres.TestCase)
