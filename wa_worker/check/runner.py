"""`wa-worker check`: what a set-up lacks before it can work, a line for each thing looked at.

Owns the list of checks, their deadlines and the exit code. Each check is in a module of its own and gives results,
whatever it meets. Nothing is changed anywhere unless an instance is named (writing.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import attrs
import click
import trio

from wa_worker.check import egress, journal, libraries, port, proxy, route, state, volume, writing
from wa_worker.check.clock import Clock
from wa_worker.check.configuration import Configuration, read_configuration
from wa_worker.check.result import Grade, Result, as_dict, fail, lines, not_checked, ok
from wa_worker.models import InstanceId

PATIENCE = 2.0
"""Seconds after which it says what it waits for, and again whenever as much has passed."""


@attrs.frozen
class _Check:
    """`deadline` in seconds is above the sum of those that the check keeps itself."""

    names: tuple[str, ...]
    deadline: float
    run: Callable[[], Awaitable[list[Result]]]


async def main(environ: Mapping[str, str], instance: InstanceId | None, *, as_json: bool) -> int:
    """Prints the results; the exit code. Cancelled: nothing was printed and nothing is left behind."""
    configuration = read_configuration(environ)
    results = [*configuration.results, *await _results(environ, configuration, instance)]
    if as_json:
        click.echo("[" + ",".join("\n" + json.dumps(as_dict(result)) for result in results) + "\n]")
    else:
        colour = sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        for line in lines(results, colour=colour):
            click.echo(line, color=colour)
    if not configuration.usable:
        return 2
    return 1 if any(result.grade is Grade.FAIL for result in results) else 0


async def _results(
    environ: Mapping[str, str], configuration: Configuration, instance: InstanceId | None
) -> list[Result]:
    """In the order of the list, whichever comes first."""
    clock = Clock()
    checks = _checks(environ, configuration, clock, instance)
    found: dict[tuple[str, ...], list[Result]] = {}
    async with trio.open_nursery() as waiting:
        waiting.start_soon(_tell_what_it_waits_for, checks, found)
        async with trio.open_nursery() as nursery:
            for check in checks:
                nursery.start_soon(_keep, check, found)
        waiting.cancel_scope.cancel()
    return [*(result for check in checks for result in found[check.names]), clock.result()]


def _checks(
    environ: Mapping[str, str], settings: Configuration, clock: Clock, instance: InstanceId | None
) -> list[_Check]:
    async def look_at_volume() -> list[Result]:
        if settings.auth_dir is None:
            return [not_checked(name, "AUTH_DIR is not usable") for name in volume.NAMES]
        return await trio.to_thread.run_sync(volume.look_at_volume, settings.auth_dir, abandon_on_cancel=True)

    async def look_at_journal() -> list[Result]:
        if settings.state_url is not None:
            return [ok(journal.NAME, "in the database of STATE_URL")]
        if settings.auth_dir is None:
            return [not_checked(journal.NAME, "AUTH_DIR is not usable")]
        return [await trio.to_thread.run_sync(journal.look_at_journal, settings.auth_dir, abandon_on_cancel=True)]

    async def check_state() -> list[Result]:
        return [] if settings.state_url is None else await state.check_state(settings.state_url)

    async def check_port() -> list[Result]:
        if settings.bind_host is None or settings.port is None:
            return [not_checked(port.NAME, "BIND_HOST or PORT is not usable")]
        running = None
        if settings.auth_dir is not None:
            running = await trio.to_thread.run_sync(volume.worker_is_running, settings.auth_dir, abandon_on_cancel=True)
        return [await port.check_port(settings.bind_host, settings.port, worker_is_running=running is True)]

    async def check_route() -> list[Result]:
        return [await route.check_route(environ, clock)]

    async def check_egress() -> list[Result]:
        return [] if settings.auth_dir is None else await egress.check_egress(settings.auth_dir, environ)

    async def check_proxy() -> list[Result]:
        if settings.base_url is None:
            return [not_checked(name, "EDGE_BASE_URL is not usable") for name in proxy.NAMES]
        usage = settings.usage
        if settings.auth_dir is not None:
            here = await trio.to_thread.run_sync(volume.instances_on, settings.auth_dir, abandon_on_cancel=True)
            usage = attrs.evolve(usage, instances=here)
        return await proxy.check_proxy(settings.base_url, settings.secret, clock, usage)

    async def check_writing(instance: InstanceId) -> list[Result]:
        if settings.base_url is None or settings.secret is None or settings.auth_dir is None:
            return [not_checked(name, "the settings are not usable") for name in writing.NAMES]
        running = await trio.to_thread.run_sync(volume.worker_is_running, settings.auth_dir, abandon_on_cancel=True)
        return await writing.check_writing(
            settings.base_url, settings.secret, instance, clock, worker_is_running=running is not False
        )

    checks = [
        _Check(volume.NAMES, 30.0, look_at_volume),
        _Check((journal.NAME,), 60.0, look_at_journal),
        _Check(state.NAMES, 60.0, check_state),
        _Check((port.NAME,), 30.0, check_port),
        _Check(libraries.NAMES, 60.0, libraries.check_libraries),
        _Check((route.NAME,), 60.0, check_route),
        _Check((egress.NAME,), 30.0, check_egress),
        _Check(proxy.NAMES, 90.0, check_proxy),
    ]
    if instance is not None:
        checks.append(_Check(writing.NAMES, 120.0, partial(check_writing, instance)))
    return checks


async def _keep(check: _Check, found: dict[tuple[str, ...], list[Result]]) -> None:
    first, *rest = check.names
    try:
        with trio.fail_after(check.deadline):
            results = await check.run()
    except trio.TooSlowError:
        late = fail(first, f"nothing within {check.deadline:.0f} s", "does the disk or the network hang?")
        results = [late, *(not_checked(name, f"{first} took too long") for name in rest)]
    except Exception as error:  # noqa: BLE001 - a bug in a check: what the others found is told all the same
        broken = fail(first, f"the check broke ({type(error).__name__})", "a bug in wa-worker: please report this line")
        results = [broken, *(not_checked(name, f"{first} broke") for name in rest)]
    found[check.names] = results


async def _tell_what_it_waits_for(checks: list[_Check], found: Mapping[tuple[str, ...], list[Result]]) -> None:
    """On stderr. Until cancelled."""
    started = trio.current_time()
    while True:
        await trio.sleep(PATIENCE)
        names = [check.names[0] for check in checks if check.names not in found]
        click.echo(f"{trio.current_time() - started:.0f} s, waiting for: {', '.join(names)}", err=True)
