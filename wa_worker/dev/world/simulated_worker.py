"""The worker on the simulated WhatsApp: started by `worker_command()`.

It is `wa-worker run` itself, but that the native library is made to trust the simulator's Noise root key, here and
in the pairing hosts. The rest comes with the environment (`Simulator.environment()`).
"""

from __future__ import annotations

from wa_worker.dev.simulator import trust
from wa_worker.process import prepare_process, run_worker


def worker_command() -> list[str]:
    """Returns the command of a worker process for the simulated WhatsApp."""
    return trust.command(__name__)


if __name__ == "__main__":
    prepare_process()
    run_worker(trust.command("wa_worker.whatsapp.pairing_host"))
