"""Pairing by a code beside the QR code: whose number, when it is asked for, and what the proxy hears."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.abc import Clock
from trio.testing import MockClock

from tests.instances.bed import Bed, open_bed
from tests.proxy_fixture import SHOP, until
from tests.whatsapp.scripted_host import script
from wa_worker.edge.wire import instances_from
from wa_worker.instances.pair_phones import APART, PairPhones, RoundOfCodes
from wa_worker.instances.pairing import run_pairing
from wa_worker.instances.state import InstanceState
from wa_worker.models import NoCode, PairingCode
from wa_worker.states import Event
from wa_worker.whatsapp.pairing_events import NoPhoneCode, PhoneCode


@pytest.fixture
def fast() -> Clock:
    """A second takes 5 ms on this clock."""
    return MockClock(rate=200.0)


PHONE = "+55 (11) 99999-0001"
DIGITS = "5511999990001"
QR = {"is": "qr", "code": "2@abc"}
CODE = {"is": "code", "code": "ABCD-1234", "expires_at": 1_800_000_000}
ANY = {"is": "no code", "reason": "server returned error 429"}


def listing(**phones: object) -> Any:
    return instances_from(
        [{"id": name, **({} if phone is None else {"pair_phone": phone})} for name, phone in phones.items()]
    )


@attrs.frozen
class Pairing:
    bed: Bed
    state: InstanceState
    heard: Path

    def commands(self) -> list[dict[str, Any]]:
        said = [json.loads(line) for line in self.heard.read_text().splitlines()] if self.heard.exists() else []
        return [{key: line[key] for key in ("do", "phone") if key in line} for line in said]

    def lists(self, phone: object) -> None:
        self.bed.services.pair_phones.listed(listing(shop=phone))

    @property
    def shown(self) -> PairingCode | None:
        return self.state.publisher._wanted.pairing if self.state.publisher._wanted else None

    @property
    def told(self) -> list[tuple[bool, str | None, int | None]]:
        return [
            (change.qr_code is not None, change.pairing_code, change.pairing_expires_at)
            for change in self.bed.fixture.proxy.store.statuses(SHOP)
        ]


@asynccontextmanager
async def pairing(
    folder: Path, phone: object = None, codes: tuple[dict[str, Any], ...] = (CODE,)
) -> AsyncIterator[Pairing]:
    heard = folder / "heard"
    async with open_bed(folder, script(heard, QR, codes=codes)) as bed:
        state = bed.state()
        at = Pairing(bed, state, heard)
        at.lists(phone)
        state.apply(Event.UNPAIRED)
        bed.nursery.start_soon(state.publisher.run)
        bed.nursery.start_soon(run_pairing, bed.services, state, bed.store(SHOP))
        yield at


async def test_a_code_is_shown_beside_the_qr_code(tmp_path: Path) -> None:
    async with pairing(tmp_path, PHONE) as at:
        with capture_logs() as logs:
            await until(lambda: at.told and at.told[-1] == (True, "ABCD-1234", 1_800_000_000))
        assert at.commands() == [{"do": "pair"}, {"do": "code", "phone": DIGITS}], "once, after the QR code"
        assert "ABCD" not in str(logs)


async def test_nobody_who_did_not_ask_hears_of_codes(tmp_path: Path) -> None:
    async with pairing(tmp_path) as at:
        await until(lambda: at.told and at.told[-1][0])
        assert at.shown is None
        assert at.commands() == [{"do": "pair"}]


async def test_a_number_that_comes_later_is_asked_for_at_once_and_may_go_again(tmp_path: Path) -> None:
    async with pairing(tmp_path) as at:
        await until(lambda: at.told and at.told[-1][0])
        at.lists(int(DIGITS))
        await until(lambda: at.told[-1] == (True, "ABCD-1234", 1_800_000_000))
        at.lists(None)
        await until(lambda: at.told[-1] == (True, None, None))
        assert at.shown is None


NO_NUMBERS = [
    *("123", "", "abc", "9" * 50, "5511988880005-1600000000@g.us", "98765432109876@lid"),
    *(["5511999990001"], True, 5511999990001.5, -5),
]


@pytest.mark.parametrize("phone", NO_NUMBERS)
async def test_a_number_that_is_none_is_said_and_the_qr_code_stays(tmp_path: Path, phone: object) -> None:
    with capture_logs() as logs:
        async with pairing(tmp_path, phone) as at:
            await until(lambda: at.told and at.told[-1][0])
            assert at.shown == PairingCode(fault=NoCode.BAD_NUMBER)
            assert at.commands() == [{"do": "pair"}]
    assert len([line for line in logs if "no phone number" in line["event"]]) == 1


async def test_that_whatsapp_gives_none_is_said_and_the_qr_code_stays(tmp_path: Path) -> None:
    async with pairing(tmp_path, PHONE, codes=(ANY,)) as at:
        await until(lambda: at.shown == PairingCode(fault=NoCode.REFUSED))
        await until(lambda: at.told[-1][0])
        assert at.commands() == [{"do": "pair"}, {"do": "code", "phone": DIGITS}], "not again and again"


async def test_the_code_goes_with_its_socket(tmp_path: Path) -> None:
    host = script(tmp_path / "heard", QR, codes=(CODE, {"is": "ended", "reason": "timeout"}))
    async with open_bed(tmp_path, host) as bed:
        state = bed.state()
        bed.services.pair_phones.listed(listing(shop=PHONE))
        state.apply(Event.UNPAIRED)
        await run_pairing(bed.services, state, bed.store(SHOP))
        assert state.publisher._wanted is not None
        assert state.publisher._wanted.pairing == PairingCode()


async def test_each_socket_has_a_fresh_code_and_a_number_one_a_minute(tmp_path: Path, fast: Clock) -> None:
    phones = PairPhones()
    phones.listed(listing(shop=PHONE))
    async with open_bed(tmp_path) as bed:
        state = bed.state()
        state.apply(Event.UNPAIRED)
        first = RoundOfCodes(phones, state, "BR")
        assert first.take() == DIGITS
        assert RoundOfCodes(phones, state, "BR").ask_at == float("inf"), "not before a QR code is shown"
        second = RoundOfCodes(phones, state, "BR")
        second.qr_shown()
        assert APART - 1 < second.ask_at - trio.current_time() <= APART
        taken = second.take()
        assert taken == DIGITS
        second.qr_shown()
        assert second.ask_at == float("inf"), "one for each socket"
        await trio.sleep(APART)
        third = RoundOfCodes(phones, state, "BR")
        third.qr_shown()
        assert third.ask_at <= trio.current_time()


async def test_what_was_asked_for_another_number_is_not_shown(tmp_path: Path) -> None:
    phones = PairPhones()
    async with open_bed(tmp_path) as bed:
        state = bed.state()
        state.apply(Event.UNPAIRED)
        codes = RoundOfCodes(phones, state, "BR")
        for late in (PhoneCode("ABCD-1234", 1), NoPhoneCode("no")):
            codes.answered(late)
            assert state.publisher._wanted is not None
            assert state.publisher._wanted.pairing is None


def test_an_instance_that_is_not_listed_keeps_its_number() -> None:
    phones = PairPhones()
    phones.listed(listing(shop=PHONE, other="1"))
    phones.listed(listing(other=None))
    assert (phones.get(SHOP), phones.get("other")) == (PHONE, None)  # type: ignore[arg-type]  # as good as an id
