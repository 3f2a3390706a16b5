"""Who wrote the message that another is about: the row, the ledger, whatsmeow's store, in this order."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from wa_worker.errors import Failure, SendDelayed, SendRefused
from wa_worker.messages import Content, Deletion, NewText, OutgoingMessage, Quote, ReactionTo, Target, Text
from wa_worker.models import Jid
from wa_worker.whatsapp.authors import target_key
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.identity import Identity

pytestmark = pytest.mark.usefixtures("pythons_sqlite")

ME = Identity(Jid("5511999990001@s.whatsapp.net"), Jid("111@lid"))
ANA, ANA_LID, GROUP = Jid("5511988880001@s.whatsapp.net"), Jid("222@lid"), Jid("12036@g.us")
DEVICE = "5511999990001:3@s.whatsapp.net"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "shop")
    made.prepare()
    with closing(sqlite3.connect(made.file, isolation_level=None)) as database:
        for statement in (
            "CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY)",
            f"INSERT INTO whatsmeow_device VALUES ('{DEVICE}')",
            "CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT)",
            "INSERT INTO whatsmeow_lid_map VALUES ('222', '5511988880001')",
            "CREATE TABLE whatsmeow_message_secrets (our_jid TEXT, chat_jid TEXT, sender_jid TEXT, message_id TEXT, "
            "key bytea, PRIMARY KEY (our_jid, chat_jid, sender_jid, message_id))",
            f"INSERT INTO whatsmeow_message_secrets VALUES ('{DEVICE}', '{ANA_LID}', '{ME.lid}', 'OURS', x'00')",
            f"INSERT INTO whatsmeow_message_secrets VALUES ('{DEVICE}', '{GROUP}', '{ANA_LID}', 'ANAS', x'00')",
            f"INSERT INTO whatsmeow_message_secrets VALUES ('{DEVICE}', '{GROUP}', '{ME.jid}', 'OURS', x'00')",
            f"INSERT INTO whatsmeow_message_secrets VALUES ('another', '{GROUP}', '{ANA}', 'OLD', x'00')",
        ):
            database.execute(statement)
    return made


def quoting(wa_id: str) -> dict[str, Any]:
    return {"content": Text("x"), "quote": Quote(Target(wa_id))}


def reacting(wa_id: str) -> dict[str, Any]:
    return {"content": ReactionTo(Target(wa_id), "x")}


@attrs.frozen
class Case:
    name: str
    to: Jid
    message: dict[str, Any]
    own: bool | None = None
    participant: str = ""
    failure: Failure | None = None


def about(content: type[Any], wa_id: str) -> dict[str, Content]:
    return {"content": content(Target(wa_id), "x") if content is NewText else content(Target(wa_id))}


CASES = [
    Case("quote of theirs", ANA, quoting("A"), False, ANA),
    Case("quote of ours, from the store", ANA, quoting("OURS"), True, ME.jid),
    Case("quote of ours, from the ledger", ANA, {**quoting("A"), "ours": True}, True, ME.jid),
    Case("quote of ours in a chat by LID", ANA_LID, {**quoting("A"), "ours": True}, True, "111@lid"),
    Case("quote in a group", GROUP, quoting("ANAS"), False, ANA_LID),
    Case("quote in a group of nobody knows whose", GROUP, quoting("A"), False, ""),
    Case("quote in a group, as the row says", GROUP, {**quoting("A"), "author": ANA}, False, ANA),
    Case("the row says that it is ours", GROUP, {**quoting("A"), "author": ME.lid}, True, ME.jid),
    Case("reaction to theirs", ANA, reacting("A"), False),
    Case("reaction to ours", ANA, reacting("OURS"), True),
    Case("reaction in a group", GROUP, reacting("ANAS"), False, ANA_LID),
    Case("reaction to ours in a group", GROUP, reacting("OURS"), True),
    Case("reaction in a group to nobody knows whose", GROUP, reacting("A"), failure=Failure.UNKNOWN_AUTHOR),
    Case("what another device's store knew", GROUP, reacting("OLD"), failure=Failure.UNKNOWN_AUTHOR),
    Case("edit", ANA, about(NewText, "A"), True),
    Case("edit of another's", GROUP, about(NewText, "ANAS"), failure=Failure.NOT_OURS),
    Case("deletion", ANA, about(Deletion, "A"), True),
    Case("deletion of another's", ANA, {**about(Deletion, "A"), "author": ANA}, failure=Failure.NOT_OURS),
    Case("deletion by an admin", GROUP, about(Deletion, "ANAS"), False, ANA_LID),
    Case("deletion in a group", GROUP, about(Deletion, "A"), True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_key_of(case: Case, store: FolderStore) -> None:
    message = OutgoingMessage(case.to, **case.message)
    if case.failure is not None:
        with pytest.raises(SendRefused) as error:
            target_key(message, case.to, ME, store)
        assert error.value.failure is case.failure
        return
    key = target_key(message, case.to, ME, store)
    assert key is not None
    assert (key.fromMe, key.participant, key.remoteJID) == (case.own, case.participant, case.to)


def test_what_is_about_nothing_has_no_key(store: FolderStore) -> None:
    assert target_key(OutgoingMessage(ANA, Text("x")), ANA, ME, store) is None


@pytest.mark.parametrize("message", [reacting("ANAS"), about(NewText, "ANAS"), quoting("ANAS")])
@pytest.mark.parametrize("to", [ANA, GROUP])
def test_a_store_that_cannot_be_read_now_says_nothing(store: FolderStore, to: Jid, message: dict[str, Any]) -> None:
    """Neither that nobody knows, nor that it is ours."""
    with closing(sqlite3.connect(store.file, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SendDelayed):
            target_key(OutgoingMessage(to, **message), to, ME, store)
        database.execute("ROLLBACK")
    if to == GROUP and "quote" in message:
        key = target_key(OutgoingMessage(to, **message), to, ME, store)
        assert key is not None
        assert key.participant == ANA_LID
