"""`python -m wa_worker.dev.proxy`: the reference proxy as a process of its own.

Prints its URL on a line of its own once it listens; stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import signal

import click
import trio

from .server import open_proxy


@click.command()
@click.option("--port", default=0, show_default="any free one")
@click.option("--database", default=":memory:", show_default=True, help="A file that SQLite creates.")
@click.option("--secret", envvar="WORKER_SECRET", show_envvar=True, required=True, help="Better by environment.")
@click.option("--text-ids", is_flag=True, help="Message ids are UUIDs instead of numbers.")
def main(port: int, database: str, secret: str, text_ids: bool) -> None:
    """Serve the reference worker-proxy on 127.0.0.1."""
    trio.run(_serve, port, database, secret, text_ids)


async def _serve(port: int, database: str, secret: str, text_ids: bool) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_proxy(database, secret=secret, port=port, text_ids=text_ids) as proxy:
            print(proxy.url, flush=True)
            await anext(signals)


if __name__ == "__main__":
    main()
