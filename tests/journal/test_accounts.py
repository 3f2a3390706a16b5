"""What WhatsApp has answered about numbers: kept over a restart, and not for ever."""

from __future__ import annotations

from tests.journal.stores import Store
from wa_worker.models import Jid

WRITTEN, ACCOUNT = Jid("5531988880005@s.whatsapp.net"), Jid("553188880005@s.whatsapp.net")


def test_the_last_answer_counts(store: Store) -> None:
    with store.open() as journal:
        assert journal.accounts.get(WRITTEN) is None
        journal.accounts.put(WRITTEN, WRITTEN)
        journal.accounts.put(WRITTEN, ACCOUNT)
    with store.open() as journal:
        assert (journal.accounts.get(WRITTEN), journal.accounts.get(ACCOUNT)) == (ACCOUNT, None)


def test_old_answers_are_forgotten_some_at_a_time(store: Store) -> None:
    with store.open() as journal:
        for n in range(5):
            journal.accounts.put(Jid(f"{n}"), ACCOUNT)
        assert journal.accounts.purge(60) == 0
        assert [journal.accounts.purge(-1, 3) for _ in range(3)] == [3, 2, 0]
