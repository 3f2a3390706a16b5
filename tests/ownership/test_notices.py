"""What the database is told about instances, and when: seldom, and all of it."""

from __future__ import annotations

from wa_worker.models import InstanceId
from wa_worker.ownership.notices import TOLD_AGAIN, Notice, Notices

SHOP, BAR = InstanceId("shop"), InstanceId("bar")


def test_news_is_due_at_once_and_what_is_known_from_time_to_time() -> None:
    notices = Notices()
    assert not notices.due(0.0)
    assert notices.want(SHOP)
    assert notices.due(0.0)
    notices.take(0.0)
    assert not notices.due(0.0)
    assert not notices.want(SHOP), "the proxy lists it at each poll"
    assert not notices.due(TOLD_AGAIN - 0.1)
    assert notices.due(TOLD_AGAIN), "another worker may have said otherwise"
    assert notices.want(BAR)
    assert notices.due(1.0)


def test_the_last_word_counts() -> None:
    notices = Notices()
    notices.want(SHOP)
    notices.unwant(SHOP)
    assert notices.take(1.0) == Notice(unwanted=(SHOP,))
    notices.unwant(SHOP)
    assert notices.want(SHOP), "it is news again"
    assert notices.take(2.0) == Notice(wanted=(SHOP,))


def test_what_could_not_be_told_is_told_again() -> None:
    notices = Notices()
    notices.want(SHOP)
    notices.unwant(BAR)
    notices.prove(SHOP)
    notice = notices.take(1.0)
    assert not notices.due(1.0)
    notices.take_back(notice)
    assert notices.due(1.0)
    assert notices.take(2.0) == notice == Notice((SHOP,), (BAR,), (SHOP,))
    notices.take_back(Notice(wanted=(SHOP,)))
    assert notices.due(2.0)


def test_what_was_said_while_it_was_being_told_counts() -> None:
    notices = Notices()
    notices.want(SHOP)
    notices.unwant(BAR)
    notice = notices.take(1.0)
    notices.unwant(SHOP)
    notices.want(BAR)
    notices.take_back(notice)
    assert notices.take(2.0) == Notice(wanted=(BAR,), unwanted=(SHOP,))
