"""How the journal looks on a terminal and as JSON. Pure.

Numbers are masked and bodies hidden unless asked for. Names, bodies and the proxy's answers come from outside: nothing
unprintable of them is passed on to a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wa_worker import jid
from wa_worker.cli.table import WIDTH, age, clean, columns, cut, when
from wa_worker.journal.items import BY_A_PERSON, InboundItem, Item, OutboundItem, Stats
from wa_worker.journal.states import InboxState, SendState, State

COLUMNS: tuple[State, ...] = (InboxState.PENDING, InboxState.DEAD, InboxState.POSTED, *SendState)
"""Of the statistics: the way of a received message, then that of one to send."""


def table(items: Sequence[Item], now: float, *, numbers: bool) -> Iterator[str]:
    """Returns a heading and a line a message, within WIDTH."""
    rows = [("ID", "STATE", "AGE", "INSTANCE", "CHAT", "MESSAGE")]
    for item in items:
        chat = _number(item.chat, numbers=numbers).removesuffix("@" + jid.USER)
        about = _about(item, numbers=numbers)
        rows.append((str(item.id), item.state.value, age(now - item.since), item.instance, chat, about))
    return columns(rows, (21, 9, 6, 20, 25))


def details(item: Item, now: float, *, numbers: bool, body: bool) -> Iterator[str]:
    """Returns a line a fact, then the body if it is there and wanted."""
    yield f"{item.id}  {item.state.value}"
    facts = _inbound_facts(item, numbers) if isinstance(item, InboundItem) else _outbound_facts(item, now, numbers)
    facts["since"] = f"{when(item.since)} ({age(now - item.since)} ago)"
    if item.changed_at is not None and item.changed_at != item.since:
        facts["last change"] = f"{when(item.changed_at)} ({age(now - item.changed_at)} ago)"
    if item.error is not None:
        facts["last error"] = _free(item.error, numbers=numbers)
    facts["body"] = _body(item)
    wanted = body and isinstance(item, InboundItem) and item.message is not None
    for name, fact in facts.items():
        if fact is not None and not (wanted and name == "body"):
            yield f"  {name:<13} {clean(fact)}"
    if wanted and isinstance(item, InboundItem) and item.message is not None:
        yield "  body"
        for line in item.message.body.splitlines():
            yield f"    {clean(line)}"


def as_dict(item: Item, now: float, *, numbers: bool, body: bool) -> dict[str, Any]:
    """Returns a message for programs. `body` and `push_name` are there only if asked for, `chat` and `error` masked."""
    row: dict[str, Any] = {
        "id": str(item.id),
        "state": item.state.value,
        "instance": item.instance,
        "chat": None if item.chat is None else _number(item.chat, numbers=numbers),
        "wa_message_id": item.wa_id,
        "since": item.since,
        "age_seconds": round(max(now - item.since, 0.0), 1),
        "changed_at": item.changed_at,
        "error": None if item.error is None else _free(item.error, numbers=numbers),
    }
    if isinstance(item, OutboundItem):
        reported = item.reported if item.state is SendState.FAILED else None
        row |= {"message_id": item.message_id, "attempts": item.attempts, "doubts": item.doubts}
        pause = item.not_before if item.state is SendState.WAITING and item.not_before > now else None
        row |= {"not_before": pause, "proxy_told": reported}
        return row
    row["rejections"] = item.rejections
    if (message := item.message) is not None:
        row |= {"type": message.message_type, "characters": len(message.body), "timestamp": message.timestamp}
        row |= {"sender": _number(message.sender, numbers=numbers), "to": _number(message.to, numbers=numbers)}
        if numbers:
            row["push_name"] = message.push_name
        if body:
            row["body"] = message.body
    return row


def array(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns a JSON array with an object a line: for a parser, and for grep."""
    lines = ",".join(f"\n{json.dumps(row)}" for row in rows)
    return f"[{lines}\n]" if lines else "[]"


def stats_table(stats: Stats, now: float) -> Iterator[str]:
    """Instances by states, a total, then what has waited longest and the size."""
    rows = [["INSTANCE", *(state.value.upper() for state in COLUMNS)]]
    for instance, counts in sorted(stats.counts.items()):
        rows.append([instance, *(str(counts.get(state, 0)) for state in COLUMNS)])
    rows.append(["all", *(str(sum(c.get(state, 0) for c in stats.counts.values())) for state in COLUMNS)])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    widths[0] = min(widths[0], max(8, WIDTH - sum(widths[1:]) - 2 * len(COLUMNS)))
    for row in rows:
        figures = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        yield f"{cut(row[0], widths[0]):<{widths[0]}}{figures}"
    yield ""
    yield f"oldest pending message           {_age_or_none(stats.oldest_pending, now)}"
    yield f"oldest outcome the proxy awaits  {_age_or_none(stats.oldest_unreported, now)}"
    yield f"size on disk                     {stats.size / 1e6:.1f} MB"


def stats_as_dict(stats: Stats, now: float) -> dict[str, Any]:
    def seconds(since: float | None) -> float | None:
        return None if since is None else round(max(now - since, 0.0), 1)

    return {
        "instances": {
            instance: {state.value: counts.get(state, 0) for state in COLUMNS}
            for instance, counts in sorted(stats.counts.items())
        },
        "total": {state.value: sum(c.get(state, 0) for c in stats.counts.values()) for state in COLUMNS},
        "oldest_pending_seconds": seconds(stats.oldest_pending),
        "oldest_untold_seconds": seconds(stats.oldest_unreported),
        "size_bytes": stats.size,
    }


def _inbound_facts(item: InboundItem, numbers: bool) -> dict[str, str | None]:
    message = item.message
    return {
        "instance": item.instance,
        "chat": _number(item.chat, numbers=numbers),
        "sender": None if message is None else _number(message.sender, numbers=numbers),
        "name": message.push_name if message is not None and numbers else None,
        "type": None if message is None else message.message_type,
        "WhatsApp id": item.wa_id,
        "refused": f"{item.rejections} times" if item.rejections else None,
    }


def _outbound_facts(item: OutboundItem, now: float, numbers: bool) -> dict[str, str | None]:
    paused = item.state is SendState.WAITING and item.not_before > now
    report = "has been told" if item.reported else "will be told (/mark-failed)"
    return {
        "instance": item.instance,
        "chat": _number(item.chat, numbers=numbers),
        "message id": str(item.message_id),
        "WhatsApp id": item.wa_id,
        "sends begun": str(item.attempts),
        "in doubt": f"{item.doubts} may have left unnoticed" if item.doubts else None,
        "next try": f"in {age(item.not_before - now)}, if the proxy lists it" if paused else None,
        "the proxy": report if item.state is SendState.FAILED else None,
    }


def _about(item: Item, *, numbers: bool) -> str:
    if isinstance(item, OutboundItem):
        about = f"message {item.message_id}"
    else:
        about = _body(item) if item.message is None else f"{item.message.message_type} {_body(item)}"
    return about if item.error is None else f"{about}: {_free(item.error, numbers=numbers)}"


def _body(item: Item) -> str:
    if isinstance(item, OutboundItem):
        return "(in the proxy's queue)"
    if item.message is None:
        return (
            "(discarded)" if item.error == BY_A_PERSON or item.state is not InboxState.POSTED else "(the proxy has it)"
        )
    return f"({len(item.message.body)} characters)"


def _number(address: str | None, *, numbers: bool) -> str:
    if address is None:
        return "(not an address)"
    return address if numbers else jid.masked_address(address)


def _free(words: str, *, numbers: bool) -> str:
    return words if numbers else jid.masked(words)


def _age_or_none(since: float | None, now: float) -> str:
    return "none" if since is None else age(now - since)
