"""Who may ask: the one check of a bearer token, at every port of ours (RFC 6750, 2.1)."""

from __future__ import annotations

import hmac

from wa_worker.models import Secret


def is_allowed(authorization: str | None, token: Secret) -> bool:
    """Says whether an `Authorization` header is `Bearer` and the token, to the letter.

    Takes the same time whatever is wrong with it. A header comes decoded as latin-1; a token that is not ASCII is sent
    as UTF-8.
    """
    given = (authorization or "").encode("latin-1", "backslashreplace")
    return hmac.compare_digest(given, f"Bearer {token.reveal()}".encode())
