"""What a pairing host gets of the worker's environment: a closed list, so that no secret of the worker's is in it.

Pure. The environment of a process can be read in /proc by whatever runs as the same user, and a host needs none of the
worker's settings: what it is to do comes over its line.
"""

from __future__ import annotations

from collections.abc import Mapping

_SYSTEM = "PATH HOME USER LOGNAME TMPDIR TZ LANG LANGUAGE LD_LIBRARY_PATH LD_PRELOAD VIRTUAL_ENV MAGIC"
_PYTHON = (
    "PYTHONPATH PYTHONHOME PYTHONUNBUFFERED PYTHONWARNINGS PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONUTF8 "
    "PYTHONIOENCODING PYTHONFAULTHANDLER PYTHONNOUSERSITE PYTHONSAFEPATH PYTHONMALLOC MALLOC_ARENA_MAX"
)
_GO = "GODEBUG GOGC GOMEMLIMIT GOMAXPROCS GOTRACEBACK NEONIZE_BOT_TAG"
_NETWORK = "SSL_CERT_FILE SSL_CERT_DIR HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY RES_OPTIONS LOCALDOMAIN HOSTALIASES"
_TESTS = "WA_WORKER_SIMULATED_ROOT COVERAGE_PROCESS_START COVERAGE_PROCESS_CONFIG COVERAGE_FILE"
"""The public key of a simulated WhatsApp, and what measures which lines the tests reach."""

PASSED_ON = frozenset(f"{_SYSTEM} {_PYTHON} {_GO} {_NETWORK} {_TESTS}".split())
"""And `LC_...`; a proxy's variable in small letters, too."""


def host_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the part of `environ` that a pairing host may know."""
    return {
        name: value
        for name, value in environ.items()
        if name in PASSED_ON or name.startswith("LC_") or (name.endswith("_proxy") and name.upper() in PASSED_ON)
    }
