"""Single settings, for commands that need only some of them and no worker-proxy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import click

from wa_worker.config import Settings, lookup
from wa_worker.errors import ConfigError


def setting_from(environ: Mapping[str, str], name: str) -> Any:
    """Returns one setting, or its default. Raises ConfigError."""
    field = next(field for field in attrs.fields(Settings) if field.metadata["name"] == name)
    try:
        text = lookup(environ, name)
        return field.default if text is None else field.metadata["convert"](text)
    except ValueError as error:
        raise ConfigError([f"{name} {error}."]) from None


@contextmanager
def faults_told() -> Iterator[None]:
    """Ends the process with 2 when a setting is wrong, and names each on stderr."""
    try:
        yield
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        sys.exit(2)
