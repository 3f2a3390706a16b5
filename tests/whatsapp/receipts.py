"""Somebody who waits for receipts, and tells of all that a session tells him."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from wa_worker.models import InstanceId, WaMessageId


@attrs.define
class Receipts:
    """told(what, ids): `what` is "expect", "heard" or "distrust"."""

    told: Callable[[str, list[str]], None] = lambda _what, _ids: None

    def expect(self, instance: InstanceId, wa_id: WaMessageId) -> None:
        self.told("expect", [wa_id])

    def heard(self, instance: InstanceId, wa_ids: Iterable[str]) -> None:
        self.told("heard", list(wa_ids))

    def distrust(self, instance: InstanceId) -> None:
        self.told("distrust", [])
