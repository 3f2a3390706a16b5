"""What a worker sees of the instances of its peers."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from tests.journal.rows import inbound_message
from tests.journal.stores import StateStore
from wa_worker.journal import Change, InstanceBacklog, open_journal
from wa_worker.journal.elsewhere import worker_name
from wa_worker.models import InstanceId

THEIRS, DEADS, FREE, GONE = (InstanceId(name) for name in ("theirs", "deads", "free", "gone"))


def test_it_sees_whose_they_are_what_they_became_last_and_what_waits(state: StateStore) -> None:
    peer, dead = state.start(uuid4()), state.start(uuid4())
    for name, owner in ((THEIRS, peer), (DEADS, dead), (FREE, peer), (GONE, peer)):
        state.give(name, owner)
    connected = Change(2.0, "connected", "connected")
    with state.open(peer) as journal:
        journal.changes.add({THEIRS: [Change(1.0, "opening", "opening"), connected]})
        journal.inbox.record(THEIRS, inbound_message("1"))
    state.admin.execute("UPDATE instances SET owner = NULL WHERE id = %s", (FREE,))
    state.admin.execute("UPDATE instances SET wanted = false WHERE id = %s", (GONE,))
    state.admin.execute("UPDATE workers SET expires_at = clock_timestamp() WHERE id = %s", (dead,))
    with state.open() as journal:
        together = journal.together()
        assert journal.backlogs() == {}, "its own"
    assert together is not None
    assert together.here.endswith(str(state.worker)[:8])
    assert together.elsewhere.keys() == {THEIRS, DEADS, FREE}, "what is wanted, and not its own"
    theirs = together.elsewhere[THEIRS]
    assert theirs.worker == worker_name("here", peer)
    assert (theirs.change, theirs.backlog, theirs.set_aside) == (connected, InstanceBacklog(to_deliver=1), 0)
    assert together.elsewhere[DEADS].worker is together.elsewhere[FREE].worker is None


def test_a_worker_of_its_own_has_no_peers(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        assert journal.together() is None
