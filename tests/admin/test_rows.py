"""What is shown of each instance, and what one sees first."""

from __future__ import annotations

import time

import attrs
import pytest

from wa_worker.admin.actions import Waiting
from wa_worker.admin.reading import joined
from wa_worker.admin.rows import Group, Row, Seen, chosen, counts, detail, row, rows
from wa_worker.admin.words import Language
from wa_worker.instances.registry import InstanceSnapshot
from wa_worker.journal import Change, Elsewhere, InstanceBacklog, Together
from wa_worker.models import InstanceId, Jid, NextStep, Reason
from wa_worker.states import REASONS, Event, State

ACCOUNT = Jid("5511999990001@s.whatsapp.net")


def seen(name: str, state: State, because: Event, **fields: object) -> Seen:
    why = REASONS.get((state, because))
    now = InstanceSnapshot(state, because, time.time(), reason=why.reason if why else None)
    return Seen(InstanceId(name), attrs.evolve(now, **fields))  # type: ignore[arg-type]  # a test's shorthand


def english(one: Seen) -> Row:
    return row(one, Language.ENGLISH)


@pytest.mark.parametrize(("state", "because"), REASONS)
def test_each_state_has_its_words_and_what_to_do(state: State, because: Event) -> None:
    shown = row(seen("a", state, because), Language.PORTUGUESE)
    assert shown.state_words
    assert shown.reason_words != shown.reason
    assert bool(shown.step) is (REASONS[state, because].action is not None)


def test_trouble_comes_first_then_what_is_on_its_way_then_the_rest() -> None:
    found = [
        seen("connected", State.CONNECTED, Event.CONNECTED),
        seen("a-pairing", State.PAIRING, Event.QR),
        seen("z-banned", State.HELD, Event.BANNED),
        Seen(InstanceId("a-let-go"), let_go=1.0),
        seen("a-restricted", State.CONNECTED, Event.RESTRICTED),
        seen("out", State.PAIRING, Event.QR, logged_out=True),
        seen("was-refused", State.OPENING, Event.PAIRED, trouble=Event.REFUSED),
        seen("full", State.RETRYING, Event.VOLUME_FAILED),
        seen("retrying", State.RETRYING, Event.OPEN_FAILED),
        attrs.evolve(seen("to-decide", State.CONNECTED, Event.CONNECTED), set_aside=1),
    ]
    shown = rows(found, Language.ENGLISH)
    assert [each.id for each in shown] == [
        *("full", "out", "was-refused", "z-banned", "a-restricted"),
        *("a-pairing", "retrying", "to-decide", "connected", "a-let-go"),
    ]
    assert counts(shown) == {Group.TROUBLE: 5, Group.WAY: 2, Group.CONNECTED: 2, Group.LET_GO: 1}


def test_those_of_other_workers_are_among_them_and_found_by_their_worker() -> None:
    held, well = Change(5.0, "held", "banned", 99, "to +5511988880001"), Change(6.0, "connected", "connected")
    others = {
        InstanceId("held"): Elsewhere("b 2", 3.0, held, InstanceBacklog(to_send=4), 1),
        InstanceId("well"): Elsewhere("b 2", 3.0, well),
        InstanceId("new"): Elsewhere("b 2", 3.0),
        InstanceId("nobodys"): Elsewhere(None),
        InstanceId("let-go"): Elsewhere(None),
    }
    waiting = Waiting(let_go={InstanceId("let-go"): 7.0}, together=Together("a 1", others))
    found = joined([seen("mine", State.CONNECTED, Event.CONNECTED)], waiting)
    shown = rows(found, Language.ENGLISH)
    assert [each.id for each in shown] == ["held", "nobodys", "new", "mine", "well", "let-go"]
    assert [each.id for each in chosen(shown, "b 2", "")] == ["held", "new", "well"]
    assert [each.id for each in chosen(shown, "a 1", "")] == ["mine", "let-go"]
    first = shown[0]
    assert (first.state, first.reason, first.since, first.until, first.waits, first.set_aside, first.worker) == (
        *("held", "banned", 5.0, 99, 4, 1),
        "b 2",
    )
    assert detail(next(each for each in found if each.id == "held")) == "to ***0001"
    assert shown[1].reason_words == "No worker has it"


def test_what_is_told_of_one() -> None:
    one = seen("shop", State.HELD, Event.BANNED, account=ACCOUNT, until=2_000_000_000, detail="to +5511988880001")
    shown = english(attrs.evolve(one, backlog=InstanceBacklog(1, 2, 3), set_aside=4))
    assert (shown.number, shown.until, shown.waits, shown.set_aside) == ("***0001", 2_000_000_000, 6, 4)
    assert (shown.state_words, shown.tone) == ("Kept away", "bad")
    assert shown.reason_words == "WhatsApp has banned the number for a while"
    assert shown.step == "the worker goes on by itself"
    assert detail(one) == "to ***0001"


def test_a_phone_that_logged_out_is_named_while_its_code_waits() -> None:
    shown = english(seen("shop", State.PAIRING, Event.QR, logged_out=True))
    assert (shown.reason, shown.step) == (Reason.LOGGED_OUT, "scan the code")
    assert english(seen("shop", State.CONNECTED, Event.CONNECTED)).step == ""


def test_what_was_let_go_of_is_shown_as_that_though_it_is_still_ending() -> None:
    shown = english(attrs.evolve(seen("shop", State.CONNECTED, Event.CONNECTED, until=5), let_go=7.0))
    assert (shown.state, shown.reason, shown.group, shown.since, shown.until) == (
        *("let_go", "let_go", Group.LET_GO),
        *(7.0, None),
    )
    assert english(Seen(InstanceId("gone"))).state == "ended"


@pytest.mark.parametrize(
    ("text", "group", "expected"),
    [
        ("", "", "bakery shop"),
        ("SHOP", "", "shop"),
        ("0001", "", "shop"),
        ("banned whatsapp", "", "shop"),
        ("banned connected", "", ""),
        ("", "connected", "bakery"),
        ("shop", "connected", ""),
        ("5511999", "", ""),
    ],
)
def test_the_filter(text: str, group: str, expected: str) -> None:
    found = [
        seen("shop", State.HELD, Event.BANNED, account=ACCOUNT),
        seen("bakery", State.CONNECTED, Event.CONNECTED),
    ]
    shown = chosen(rows(found, Language.ENGLISH), text, group)
    assert " ".join(sorted(each.id for each in shown)) == expected


def test_each_step_is_one_that_the_proxy_hears_too() -> None:
    assert {each.action for each in REASONS.values() if each.action} == set(NextStep)
