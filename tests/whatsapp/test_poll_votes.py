"""What was chosen in a vote; tests/whatsapp/test_kinds.py has votes through the library."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wa_worker.dev.simulator.poll_votes import vote
from wa_worker.models import Jid
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.identity import Identity
from wa_worker.whatsapp.poll_votes import MOST_CHOICES, Vote, decrypted

ME, PERSON, GROUP = "5511999990001@s.whatsapp.net", "5511988880002@s.whatsapp.net", "120363041234567890@g.us"
MY_LID = "95511999990001@lid"
SECRET = b"s" * 32


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    found = FolderStore(tmp_path)
    with closing(sqlite3.connect(found.file)) as sql, sql:
        sql.executescript(
            """
            CREATE TABLE whatsmeow_device (jid TEXT);
            CREATE TABLE whatsmeow_lid_map (lid TEXT, pn TEXT);
            CREATE TABLE whatsmeow_message_secrets
              (our_jid TEXT, chat_jid TEXT, sender_jid TEXT, message_id TEXT, key BLOB);
            INSERT INTO whatsmeow_device VALUES ('5511999990001:7@s.whatsapp.net');
            """
        )
        rows = [(PERSON, ME), (GROUP, MY_LID)]
        sql.executemany(
            "INSERT INTO whatsmeow_message_secrets VALUES ('5511999990001:7@s.whatsapp.net', ?, ?, 'POLL', ?)",
            [(chat, sender, SECRET) for chat, sender in rows],
        )
    return found


def look(store: FolderStore, message: Any, chat: str = PERSON, *voters: str, poll: str = "POLL") -> Vote | None:
    me = Identity(Jid(ME), Jid(MY_LID))
    return decrypted(message.pollUpdateMessage.vote, poll, Jid(chat), map(Jid, voters or (PERSON,)), me, store)


def test_the_secret_and_the_hashes(store: FolderStore) -> None:
    found = look(store, vote(SECRET, "POLL", ME, PERSON, ["a", "b"], chat=ME))
    assert found is not None
    assert found.secret == SECRET
    assert found.hashes == tuple(hashlib.sha256(each).digest() for each in (b"a", b"b"))
    assert found.of(["a", "b", "c"]) == ("a", "b")
    assert found.of(["a"]) is None, "not half of what was chosen"


def test_either_address_of_the_author_in_a_group(store: FolderStore) -> None:
    for author in (ME, MY_LID):
        assert look(store, vote(SECRET, "POLL", author, PERSON, ["a"], chat=GROUP), GROUP)


def test_one_that_is_not_in_its_place_says_nothing(store: FolderStore) -> None:
    good = vote(SECRET, "POLL", ME, PERSON, ["a"], chat=ME)
    assert look(store, good, PERSON, ME) is None, "another voter"
    assert look(store, good, PERSON, poll="OTHER") is None, "another poll"
    assert look(store, good, "5511988880003@s.whatsapp.net") is None, "another chat"
    bad = vote(SECRET, "POLL", ME, PERSON, ["a"], chat=ME)
    for vector in (b"", b"x" * 7, b"y" * 12, b"z" * 500):
        bad.pollUpdateMessage.vote.encIV = vector
        assert look(store, bad) is None


def test_no_vote_chooses_without_end(store: FolderStore) -> None:
    found = look(store, vote(SECRET, "POLL", ME, PERSON, map(str, range(MOST_CHOICES + 5)), chat=ME))
    assert found is not None
    assert len(found.hashes) == MOST_CHOICES


def test_a_store_that_cannot_be_read_costs_no_vote(store: FolderStore) -> None:
    good = vote(SECRET, "POLL", ME, PERSON, ["a"], chat=ME)
    store.file.write_bytes(b"no database" * 100)
    assert look(store, good) is None
    store.file.unlink()
    assert look(store, good) is None
