"""Who may ask: the one check of a token, at every port of ours (RFC 6750, 2.1), as a header or typed into a form."""

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


def is_token(given: str, token: Secret) -> bool:
    """Says whether what somebody has typed is the token, in the same time whatever is wrong with it."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.reveal().encode())
