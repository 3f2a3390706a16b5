"""What is done at a line of the library's log that tells of trouble with the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy_fixture import SHOP
from wa_worker.postgres.url import StateUrl
from wa_worker.states import Event, Report
from wa_worker.whatsapp.folder_store import FolderStore
from wa_worker.whatsapp.schema_store import SchemaStores
from wa_worker.whatsapp.store import SessionStore
from wa_worker.whatsapp.store_watch import CUT, StoreWatch

TORN = "failed to load session: dial tcp 127.0.0.1:5432: connect: connection refused"
GONE = 'failed to load session: pq: relation "whatsmeow_sessions" does not exist at column 31 (42P01)'


@pytest.fixture
def schema() -> Iterator[SessionStore]:
    stores = SchemaStores(StateUrl.of("postgres://wa:x@127.0.0.1/wa"))
    stores.gained(SHOP, "wa_7_41", "wa/7/41")
    yield stores.of(SHOP)
    stores.close()


def events(store: SessionStore, *lines: str) -> list[str]:
    """What happens at the lines of the log, in order."""
    said: list[str] = []
    here = threading.get_ident()

    def cut() -> None:
        assert threading.get_ident() != here, "this one may hold a lock of the library's"
        time.sleep(0.05)
        said.append("cut")

    def report(report: Report) -> None:
        said.append(report.event.name)

    watch = StoreWatch(store, cut, report)
    for line in lines:
        watch.on_log(line)
    return said


def test_the_line_is_cut_at_the_first_word_of_it(schema: SessionStore) -> None:
    assert events(schema, "all is well", TORN, TORN) == ["cut", "STORE_FAILED", "STORE_FAILED"]
    assert events(schema, GONE) == ["cut", "STORE_LOST"]


def test_a_folder_has_troubles_of_its_own(tmp_path: Path) -> None:
    folder = FolderStore.of(tmp_path, SHOP)
    assert events(folder, TORN, GONE) == []
    assert events(folder, "failed to store: disk I/O error") == ["cut", "VOLUME_FAILED"]


def test_a_cut_that_takes_long_keeps_no_line_waiting_for_ever(schema: SessionStore) -> None:
    done, said = threading.Event(), list[Event]()

    def cut() -> None:
        done.wait(10)

    watch = StoreWatch(schema, cut, lambda report: said.append(report.event))
    begun = time.monotonic()
    watch.on_log(TORN)
    assert said == [Event.STORE_FAILED]
    assert time.monotonic() - begun < CUT * 3
    done.set()
