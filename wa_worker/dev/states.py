"""Writes docs/states.md from the state table: `python -m wa_worker.dev.states`. A test says when the page is stale.

The words are those of states.py and models.py: the docstrings of the states, policies, reasons and steps, the values of
the events and actions.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from wa_worker import models, states
from wa_worker.backoff import Backoff
from wa_worker.models import NextStep, Reason
from wa_worker.states import CONDITIONS, PROVEN, REASONS, TABLE, Event, State

PAGE = Path(__file__).parents[2] / "docs" / "states.md"

HEAD = """# States of an instance

*Made from `wa_worker/states.py` by `python -m wa_worker.dev.states`. Do not edit: a test compares.*

Each instance is in one of these states. The log names a change with the state as the event and why as `because`:
`{"instance": "shop", "event": "reconnecting", "because": "the connection broke", ...}`.
"""

MOVES = """## What happens next

A pair that is in no table cannot happen. If it does, it is a bug of ours: it is logged, and the instance
starts again."""

REASONS_HEAD = """## Reasons

What the proxy hears as `reason` and `action` ([contract](contract.md#post-update-status)): those of a move are in the
last two columns above. What is held since before the start has the reason that it is held for. `restricted` outlasts
a broken line. `worker_stopping` and `released` are said last, whatever the state was."""

STEPS = """What somebody has to do, `action`:
"""

PAUSES = """## Pauses
"""

AFTERWORDS = """A pause is drawn between half and all of what the policy says, so that instances do not march in step.
A ban lasts as long as WhatsApp says, and a few seconds more. Pauses start anew after {proven} of `connected`, never
because of an attempt.

Before a session is opened, WhatsApp must answer a TCP probe, which all instances share. While it does not, an instance
waits in `retrying`, and goes on within seconds of WhatsApp's return."""


def page() -> str:
    """Returns the whole page."""
    return "\n".join([HEAD, _states(), "", _moves(), "", _reasons(), "", _policies(), ""])


def _states() -> str:
    meaning = _docstrings(State.__name__)
    rows = [
        (
            f"`{state.value}`",
            meaning[state.name],
            f"`{condition.status.value}`",
            condition.health.value,
            _seconds(condition.deadline) if condition.deadline is not None else "none",
        )
        for state, condition in CONDITIONS.items()
    ]
    return _table(("state", "meaning", "status at the proxy", "counted at `/health` as", "deadline"), rows)


def _moves() -> str:
    names = _policy_names()
    parts = [MOVES]
    for state in State:
        rows = [
            (
                event.value,
                f"`{move.to.value}`",
                move.action.value,
                names[id(move.pause)] if move.pause else "",
                *_why(move.to, event),
            )
            for event in Event
            if (move := TABLE.get((state, event))) is not None
        ]
        parts.append(f"### From `{state.value}`\n\n{_table(_MOVE, rows)}")
    return "\n\n".join(parts)


_MOVE = ("event", "to", "the session", "pause", "reason", "action")


def _why(state: State, event: Event) -> tuple[str, str]:
    found = REASONS[state, event]
    return f"`{found.reason.value}`", f"`{found.action.value}`" if found.action else "none"


def _reasons() -> str:
    meaning, step = (_docstrings(of.__name__, models) for of in (Reason, NextStep))
    rows = [(f"`{reason.value}`", meaning[reason.name]) for reason in Reason]
    steps = [(f"`{action.value}`", step[action.name]) for action in NextStep]
    return f"{REASONS_HEAD}\n\n{_table(('reason', 'means'), rows)}\n\n{STEPS}\n{_table(('action', 'means'), steps)}"


def _policies() -> str:
    meaning = _docstrings()
    rows = [
        (name, meaning.get(name, ""), _seconds(policy.first), f"x {policy.factor:g}", _seconds(policy.ceiling))
        for name, policy in _all_policies().items()
    ]
    table = _table(("policy", "for", "first pause", "each further", "at most"), rows)
    return f"{PAUSES}\n{table}\n\n{AFTERWORDS.format(proven=_seconds(PROVEN))}"


def _all_policies() -> dict[str, Backoff]:
    return {name: value for name, value in vars(states).items() if isinstance(value, Backoff)}


def _policy_names() -> dict[int, str]:
    return {id(policy): name for name, policy in _all_policies().items()}


def _docstrings(of_class: str | None = None, module: ModuleType = states) -> dict[str, str]:
    """Says what stands in a string below an assignment, by name: of the module, or of a class in it."""
    body = ast.parse(inspect.getsource(module)).body
    if of_class is not None:
        (body,) = (node.body for node in body if isinstance(node, ast.ClassDef) and node.name == of_class)
    found: dict[str, str] = {}
    for node, following in itertools.pairwise(body):
        match node, following:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text).replace("\n", " ")
    return found


def _seconds(value: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if value >= size and value % size == 0 and value > size:
            return f"{value / size:g} {unit}"
    return f"{value:g} s"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
