"""What the database is told about instances, and when: seldom, and all of it."""

from __future__ import annotations

from wa_worker.models import InstanceId
from wa_worker.ownership.notices import TOLD_AGAIN, Notice, Notices

SHOP, BAR = InstanceId("shop"), InstanceId("bar")


def test_news_is_due_at_once_and_what_is_known_from_time_to_time() -> None:
    notices = Notices()
    assert not notices.due
    notices.want(SHOP, 0.0)
    assert notices.due
    assert notices.take(0.0) == Notice(wanted=(SHOP,))
    notices.want(SHOP, TOLD_AGAIN - 0.1)
    assert not notices.due, "the proxy lists it at each poll"
    notices.want(SHOP, TOLD_AGAIN)
    assert notices.due, "another worker may have said otherwise"


def test_what_was_listed_once_is_not_told_long_after() -> None:
    """Another worker may have said meanwhile that it is not wanted any more."""
    notices = Notices()
    notices.want(SHOP, 0.0)
    notices.take(0.0)
    notices.want(SHOP, 1.0)
    notices.want(BAR, TOLD_AGAIN + 1)
    assert notices.take(TOLD_AGAIN + 1) == Notice(wanted=(BAR,))


def test_the_last_word_counts() -> None:
    notices = Notices()
    notices.want(SHOP, 0.0)
    notices.unwant(SHOP)
    assert notices.take(1.0) == Notice(unwanted=(SHOP,))
    notices.want(SHOP, 0.0)
    assert notices.take(0.0) == Notice(wanted=(SHOP,))
    notices.unwant(SHOP)
    notices.want(SHOP, 0.0)
    assert notices.take(2.0) == Notice(wanted=(SHOP,)), "it is news again"


def test_what_could_not_be_told_is_told_again() -> None:
    notices = Notices()
    notices.want(SHOP, 0.0)
    notices.unwant(BAR)
    notices.prove(SHOP)
    notice = notices.take(1.0)
    assert not notices.due
    notices.take_back(notice)
    assert notices.take(2.0) == notice == Notice((SHOP,), (BAR,), (SHOP,))


def test_what_was_said_while_it_was_being_told_counts() -> None:
    notices = Notices()
    notices.want(SHOP, 0.0)
    notices.unwant(BAR)
    notice = notices.take(1.0)
    notices.unwant(SHOP)
    notices.want(BAR, 0.0)
    notices.take_back(notice)
    assert notices.take(2.0) == Notice(wanted=(BAR,), unwanted=(SHOP,))


def test_what_a_person_wants_is_told_at_once() -> None:
    notices = Notices()
    notices.want(SHOP, 0.0)
    notices.take(0.0)
    notices.want(SHOP, 1.0)
    assert not notices.due
    notices.want(SHOP, 1.0, anew=True)
    assert notices.take(1.0).wanted == (SHOP,)
