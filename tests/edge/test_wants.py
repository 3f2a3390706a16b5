"""Which kinds of received messages the proxy wants, and what its answer to a poll says of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from tests.journal.rows import inbound_message
from wa_worker.edge.inbound_body import private_texts
from wa_worker.edge.version import SECOND_LOOK, ContractVersion
from wa_worker.edge.wants import Wants
from wa_worker.edge.wire import polled_from
from wa_worker.messages import (
    ContactCard,
    ContactName,
    ContactPhone,
    Context,
    Location,
    Media,
    Reaction,
    Referral,
    Wanted,
    has_to_be_wanted,
    wanted,
)
from wa_worker.models import Jid

EMPTY: dict[str, Any] = {"instances": [], "messages": []}


@pytest.mark.parametrize(
    ("want", "found"),
    [
        (["edit", "from_me"], {Wanted.EDIT, Wanted.FROM_ME}),
        (["all"], set(Wanted)),
        (["tomorrow", "call", None, 7, ["edit"]], {Wanted.CALL}),
        ([], set()),
    ],
)
def test_an_answer_says_what_is_wanted(want: list[Any], found: set[Wanted]) -> None:
    assert polled_from({**EMPTY, "want": want}).want == frozenset(found)


@pytest.mark.parametrize("answer", [{}, {"want": None}, {"want": "all"}, {"want": {"edit": True}}])
def test_an_answer_that_does_not_say_leaves_it_to_the_setting(answer: dict[str, Any]) -> None:
    assert polled_from({**EMPTY, **answer}).want is None


@pytest.mark.parametrize(
    ("kind", "own", "needed"),
    [
        ("text", False, set()),
        ("image", False, set()),
        ("poll", False, set()),
        ("edit", False, {Wanted.EDIT}),
        ("revoke", False, {Wanted.REVOKE}),
        ("reaction", False, {Wanted.REACTION}),
        ("poll_vote", False, {Wanted.REACTION}),
        ("call", False, {Wanted.CALL}),
        ("view_once", False, {Wanted.VIEW_ONCE}),
        ("from_me", False, set()),
        ("text", True, {Wanted.FROM_ME}),
        ("edit", True, {Wanted.FROM_ME, Wanted.EDIT}),
    ],
)
def test_what_has_to_be_wanted(kind: str, own: bool, needed: set[Wanted]) -> None:
    message = attrs.evolve(inbound_message("A"), message_type=kind, from_me=True if own else None)
    assert has_to_be_wanted(message) == needed


async def test_it_is_known_once_the_proxy_has_shown_its_version() -> None:
    edit = attrs.evolve(inbound_message("A"), message_type="edit")
    for shown in (ContractVersion.is_one, ContractVersion.is_two):
        version = ContractVersion()
        wants = Wants(version, wanted(["edit"]))
        assert wants.includes(inbound_message("B")) is True
        assert wants.includes(edit) is None
        shown(version)
        assert wants.includes(edit) is True
        wants.said(frozenset())
        assert wants.includes(edit) is (shown is not ContractVersion.is_two)


@pytest.mark.parametrize("left", [ContractVersion.is_one, ContractVersion.says_nothing])
async def test_one_odd_answer_drops_nothing(left: Callable[[ContractVersion], None], autojump_clock: object) -> None:
    edit = attrs.evolve(inbound_message("A"), message_type="edit")
    version = ContractVersion()
    wants = Wants(version)
    for _ in range(2):
        version.is_two()
        wants.said(frozenset({Wanted.EDIT}))
        left(version)
        assert wants.includes(edit) is None
        assert wants.includes(inbound_message("B")) is True
    await trio.sleep(2 * SECOND_LOOK - 1 if left is ContractVersion.is_one else SECOND_LOOK - 1)
    assert wants.includes(edit) is None
    await trio.sleep(1.1)
    assert wants.includes(edit) is False, "nothing waits for ever"


async def test_the_second_look_tells(autojump_clock: object) -> None:
    edit = attrs.evolve(inbound_message("A"), message_type="edit")
    version = ContractVersion()
    wants = Wants(version)
    version.is_two()
    wants.said(frozenset({Wanted.EDIT}))
    version.is_one()
    version.is_one()
    assert wants.includes(edit) is False


async def test_no_answer_at_the_start_drops_nothing_for_a_while(autojump_clock: object) -> None:
    edit = attrs.evolve(inbound_message("A"), message_type="edit")
    version = ContractVersion()
    wants = Wants(version, wanted(["edit"]))
    version.says_nothing()
    assert wants.includes(edit) is None
    await trio.sleep(SECOND_LOOK / 2)
    version.says_nothing()
    await trio.sleep(SECOND_LOOK / 2 + 0.1)
    assert wants.includes(edit) is True


def test_what_no_log_may_show_is_what_the_message_itself_does_not() -> None:
    card = ContactCard(ContactName("Bia"), (ContactPhone("+55 11", "5511"),), "BEGIN")
    message = attrs.evolve(
        inbound_message("A"),
        push_name="Ana",
        media=Media("image/png", filename="nota.pdf", url="https://signed"),
        context=Context("B", Jid("1@lid"), "Temos esta"),
        location=Location(1.5, 2.5, "Loja", "Rua"),
        contacts=(card,),
        reaction=Reaction("B", "\u2764"),
        referral=Referral(headline="Hoje", ctwa_clid="AfQ"),
        mentions=(Jid("2@lid"),),
    )
    private = private_texts(message)
    hidden = ("Oi", "Ana", "nota.pdf", "https://signed", "Temos esta", "Loja", "Rua", "Bia", "+55 11", "BEGIN", "Hoje")
    for text in (*hidden, "AfQ", "\u2764"):
        assert text in private
        assert text not in repr(message)
    for text in ("image/png", "text", "A", "B", "2@lid", message.chat, message.sender):
        assert text not in private
