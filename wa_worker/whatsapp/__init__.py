"""The only package that imports neonize: sessions, pairing, translation.

neonize takes half a second to import, so the modules that need it are imported by `load()`, which is for a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import wa_worker.whatsapp.libmagic  # noqa: F401 - before anything here imports neonize

if TYPE_CHECKING:
    from wa_worker.whatsapp.bridge import WhatsApp as WhatsApp


def load() -> type[WhatsApp]:
    """Imports neonize and all that needs it. Blocks for half a second; raises StartupError if it cannot be loaded."""
    from wa_worker.errors import StartupError

    try:
        from wa_worker.whatsapp.bridge import WhatsApp
    except (ImportError, OSError) as error:
        raise StartupError(
            f"neonize cannot be loaded: {error}. It needs libmagic (pip install pylibmagic, or apt install libmagic1) "
            "and a platform it has a wheel for."
        ) from error
    return WhatsApp
