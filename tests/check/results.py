"""What the tests of the checks share; tests/e2e/test_check.py runs the command as people do."""

from __future__ import annotations

from wa_worker.check.result import Result
from wa_worker.models import Secret

SECRET = Secret("a-secret-of-the-tests")


def by_name(results: list[Result]) -> dict[str, Result]:
    assert len({result.name for result in results}) == len(results)
    return {result.name: result for result in results}
