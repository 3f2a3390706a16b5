"""Imports neonize before the tests do: it forgets to close two pipes, which `filterwarnings = error` minds.

They belong to processes that `subprocess` keeps until it starts another one, so that is done here too.
"""

from __future__ import annotations

import subprocess
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import wa_worker.whatsapp.libmagic  # noqa: F401 - before neonize
    import neonize.client  # noqa: F401  # isort: skip

    subprocess.run(["true"], check=True)
