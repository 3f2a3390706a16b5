"""What any session is, for those of tests."""

from __future__ import annotations

import math


class Steady:
    """A session whose line has always been up, and whose store is no witness of what left."""

    steady = math.inf
    store_mark: str | None = None
