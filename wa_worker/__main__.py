"""The entry point. process.py sees to the environment before anything is imported that loads Go."""

from __future__ import annotations

from wa_worker.process import prepare_process


def main() -> None:
    """Runs the command line."""
    prepare_process()
    from wa_worker.cli.commands import cli

    cli()


if __name__ == "__main__":
    main()
