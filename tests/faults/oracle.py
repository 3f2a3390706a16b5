"""Fills in the account of a fault run from outside the worker.

From what the contacts' phones decrypted and what the proxy accepted, against what was queued and written. The ledger is
only asked which rows it counts as uncertain, and the journal which messages it had.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing

from tests.e2e.world import World
from tests.faults.account import Account
from tests.faults.traffic import Traffic
from tests.known_by import read, said_in, said_out


def settled(world: World) -> bool:
    """Says whether the journal has nothing left to tell the proxy."""
    with closing(sqlite3.connect(world.auth_dir / "@worker" / "journal.db")) as journal:
        (sends,) = journal.execute("SELECT count(*) FROM ledger WHERE state NOT IN ('marked', 'failed')").fetchone()
        (received,) = journal.execute("SELECT count(*) FROM inbox WHERE state = 'pending'").fetchone()
        (receipts,) = journal.execute("SELECT count(*) FROM receipts WHERE due AND told < rank").fetchone()
        (files,) = journal.execute("SELECT count(*) FROM media").fetchone()
    return not (sends or received or receipts or files)


def take_account(account: Account, world: World, traffic: Traffic, *, killed: bool, unknown_receipts: bool) -> None:
    """`killed`, `unknown_receipts`: whether a kill -9 or such a receipt may have caught something in the library."""
    with closing(sqlite3.connect(world.auth_dir / "@worker" / "journal.db")) as journal:
        doubts = dict(journal.execute("SELECT message_id, doubts FROM ledger WHERE doubts > 0"))
        ledger = dict(journal.execute("SELECT message_id, state FROM ledger"))
        inbox = journal.execute(
            "SELECT c.instance, c.jid, i.wa_id, i.state FROM inbox i JOIN chats c ON c.id = i.chat ORDER BY i.seq"
        ).fetchall()
    account.uncertain = sum(doubts.values())

    copies: Counter[str] = Counter()
    for name in traffic.names:
        for contact in traffic.contacts(name):
            copies.update(read(m.message, m.text) for m in contact.received)
    accepted_unread = _unreadable(world, traffic, copies)
    for name in traffic.names:
        for row in world.proxy.store.messages(name):
            text = said_out(row)
            uncertain = doubts.get(str(row.id), 0)
            if row.status == "queued" or ledger.get(str(row.id)) not in ("marked", "failed"):
                account.unfinished.append(f"{text}: {row.status}, {ledger.get(str(row.id))}")
            elif (row.status == "failed") != (text in traffic.hopeless):
                account.unfinished.append(f"{text}: {row.status}, {row.error}")
            elif copies[text] == 0 and row.status == "sent" and text not in accepted_unread:
                account.lost_out.append(text)
            extra = max(copies[text] - 1, 0)
            if extra and not uncertain:
                account.doubled_out.append(text)
            account.copies_of_uncertain += min(extra, uncertain)
    account.unreadable = len(accepted_unread)

    posted = [row for name in traffic.names for row in world.proxy.store.inbound(name)]
    bodies = Counter(map(said_in, posted))
    account.doubled_in = [body for body, times in bodies.items() if times > 1]
    account.not_written = sorted(bodies.keys() - traffic.inbound)
    journaled = {(instance, wa_id) for instance, _, wa_id, _ in inbox}
    known = {(row.instance_id, row.wa_message_id) for row in posted}
    account.lost_in = [f"{instance} {wa_id}" for instance, wa_id in journaled - known]
    account.unfinished += [f"{i} {w} is {state}" for i, _, w, state in inbox if state != "posted"]
    gone = len(traffic.inbound) - len(bodies)
    if killed:
        account.gone_with_a_kill = gone
    elif unknown_receipts:
        account.gone_with_a_receipt = gone
    elif gone:
        account.lost_in += sorted(traffic.inbound - set(bodies))[:5]
    journal_order: dict[tuple[str, str], list[str]] = defaultdict(list)
    for instance, chat, wa_id, _ in inbox:
        journal_order[instance, chat].append(wa_id)
    proxy_order: dict[tuple[str, str], list[str]] = defaultdict(list)
    for received in sorted(posted, key=lambda row: row.seq):
        proxy_order[received.instance_id, str(received.from_)].append(received.wa_message_id)
    account.out_of_order = [str(chat) for chat in proxy_order if proxy_order[chat] != journal_order[chat]]


def _unreadable(world: World, traffic: Traffic, copies: Counter[str]) -> set[str]:
    """Texts that WhatsApp accepted and the contact's phone could not read: only where it counted some."""
    unread: set[str] = set()
    for name in traffic.names:
        budget = sum(contact.undecryptable for contact in traffic.contacts(name))
        missing = [
            text
            for row in world.proxy.store.messages(name)
            if row.status == "sent" and not copies[text := said_out(row)]
        ]
        unread.update(missing[:budget])
    return unread
