"""The settings as one writes them in an environment: what tests hold pages and files to."""

from __future__ import annotations

import enum

import attrs

from wa_worker.config import Settings


def settings() -> dict[str, str | None]:
    """Each setting with its default; None where there is none."""
    return {field.metadata["name"]: as_text(field) for field in attrs.fields(Settings)}


def as_text(field: attrs.Attribute[object]) -> str | None:
    """The default as one would write it in the environment."""
    value = field.default
    if value is attrs.NOTHING or value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, enum.Enum):
        return str(value.value)
    if field.metadata["name"].endswith("_MS"):
        assert isinstance(value, float)
        return f"{value * 1000:.0f}"
    if field.metadata["name"].endswith("_DAYS"):
        assert isinstance(value, float)
        return f"{value / 86_400:.0f}"
    return str(value)
