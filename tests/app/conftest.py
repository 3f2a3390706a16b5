"""Imports neonize before the tests do, as tests/whatsapp/conftest.py does and for the same reason."""

from __future__ import annotations

import tests.whatsapp.conftest  # noqa: F401
