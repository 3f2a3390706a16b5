"""The only package that imports neonize: sessions, pairing, translation.

neonize takes half a second to import, so nothing here is imported before `load()`, which is for a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
