"""Import this before neonize: it imports python-magic, which fails on a machine without libmagic.

The system's libmagic is used if there is one, else the one that comes in pylibmagic's wheel. (neonize wants it for
media; we send text.)
"""

import contextlib
import ctypes

try:
    ctypes.CDLL("libmagic.so.1")
except OSError:
    with contextlib.suppress(ImportError):  # then neonize's import says that there is none
        import pylibmagic  # noqa: F401 - importing it makes python-magic find its library
