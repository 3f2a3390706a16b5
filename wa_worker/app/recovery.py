"""What is made of the sends that were cut off: by the last stop of this worker, or of another that had the instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
import trio

from wa_worker.delivery.batch import MAX_TRIES
from wa_worker.delivery.inbound import InboundDelivery
from wa_worker.delivery.uncertain import LookUp, UncertainSends
from wa_worker.errors import JournalError, StateError
from wa_worker.journal import JOURNAL_RETRY, Journal
from wa_worker.models import InstanceId
from wa_worker.whatsapp.egress import EgressTable

log = structlog.get_logger(__name__)


def recover(journal: Journal, uncertain: UncertainSends, look_up: LookUp, instance: InstanceId | None = None) -> None:
    """Settles them, for all instances or for one. Blocking; before it is started. Raises JournalError."""
    if messages := uncertain.recover(look_up, MAX_TRIES, instance):
        log.info("sends were cut off by the last stop before they left: they are sent again", messages=messages)
    if messages := journal.ledger.recover(resend=uncertain.resend, tries=MAX_TRIES, instance=instance):
        log.warning(
            "sends were cut off by the last stop: they may or may not have left",
            messages=messages,
            then="they are sent again, unless a receipt comes"
            if uncertain.resend
            else "they are held: see `wa-worker journal`",
        )
    uncertain.load(instance)


class TakeOver:
    """Takes up what another worker left of an instance. rings: tell those who deliver from the journal to look."""

    def __init__(
        self,
        journal: Journal,
        uncertain: UncertainSends,
        look_up: LookUp,
        egress: EgressTable,
        inbound: InboundDelivery,
        rings: Sequence[Callable[[], None]],
    ) -> None:
        self._journal = journal
        self._uncertain = uncertain
        self._look_up = look_up
        self._egress = egress
        self._inbound = inbound
        self._rings = rings

    async def prepare(self, instance: InstanceId) -> bool:
        """Returns when it is known whether the instance may be started: after PostgreSQL has answered, however long
        that takes. True: a person has let go of it."""
        while True:
            try:
                kept_off = await trio.to_thread.run_sync(self._take_up, instance)
                break
            except (JournalError, StateError) as error:
                log.error("the journal cannot commit, trying again", instance=instance, reason=str(error))
                await trio.sleep(JOURNAL_RETRY)
        for ring in self._rings:
            ring()
        return kept_off

    def _take_up(self, instance: InstanceId) -> bool:
        self._egress.load_one(instance)
        recover(self._journal, self._uncertain, self._look_up, instance)
        self._inbound.gained()
        return instance in self._journal.let_go.all()
