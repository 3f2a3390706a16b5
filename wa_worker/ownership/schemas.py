"""The schema with the keys of an instance's session. Its name carries the token of its owner: wa_<n>_<token>.

Whoever takes an instance renames it in the same transaction, so a session under an older token finds no table.
"""

from __future__ import annotations

import psycopg
from psycopg import sql as composed

from wa_worker.errors import StateError
from wa_worker.ownership.lease import Claimed
from wa_worker.postgres.connecting import words_of


def take_schema(sql: psycopg.Connection, claimed: Claimed, former: int) -> None:
    """Renames the schema that has the token `former`, or makes an empty one where the instance has none.

    In the caller's transaction. Raises psycopg.Error, or StateError when there is a schema under a token that nobody
    expects: as after a restore of an older state, where to make an empty one would throw the keys away.
    """
    pattern = f"^wa_{claimed.n}_[0-9]+$"
    found = [row[0] for row in sql.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ %s", (pattern,))]
    expected = f"wa_{claimed.n}_{former}"
    new = composed.Identifier(claimed.schema)
    if found == [expected]:
        sql.execute(composed.SQL("ALTER SCHEMA {} RENAME TO {}").format(composed.Identifier(expected), new))
    elif not found:
        sql.execute(composed.SQL("CREATE SCHEMA {}").format(new))
        # whatsmeow looks for this table in every schema that the role may see, and takes another instance's for its own
        sql.execute(
            composed.SQL("CREATE TABLE {} (version integer, compat integer)").format(
                composed.Identifier(claimed.schema, "whatsmeow_version")
            )
        )
    else:
        raise StateError(f"its keys should be in the schema {expected}, and are in {', '.join(sorted(found))}")


def damage_of(error: Exception) -> str:
    """Returns what the log says of an error here."""
    return words_of(error) if isinstance(error, psycopg.Error) else str(error)
