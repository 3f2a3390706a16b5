"""Mutations of the reading of whatsmeow's files beside whatsmeow."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ALONE = "a look into a session store leaves the library alone that has it open"
_SQLITE = "whatsapp/sqlite.py"
_TEST = "whatsapp/test_sqlite.py::"

MUTATIONS = (
    Mutation(
        "sqlite-pythons-beside-the-librarys",
        _SQLITE,
        'return getattr(sys.modules.get("neonize._binder"), "gocode", None)',
        "return None",
        ALONE,
        _TEST + "test_a_look_leaves_alone_what_the_library_has_mapped",
    ),
    Mutation(
        "sqlite-may-write",
        _SQLITE,
        "?mode=ro",
        "?mode=rw",
        ALONE,
        _TEST + "test_what_cannot_be_read_is_an_error_of_sqlite",
    ),
    Mutation(
        "sqlite-never-interrupted",
        _SQLITE,
        "self._sql.sqlite3_progress_handler(self._database, _STEPS, self._progress, None)",
        "pass",
        "a look into a session store has two seconds",
        _TEST + "test_what_cannot_be_read_is_an_error_of_sqlite",
    ),
    Mutation(
        "sqlite-error-is-the-end",
        _SQLITE,
        "            if result != _DONE:\n                self._check(result)\n",
        "",
        "what cannot be read is an error, and not an answer",
        _TEST + "test_what_cannot_be_read_is_an_error_of_sqlite",
    ),
    Mutation(
        "sqlite-empty-text-is-none",
        _SQLITE,
        'if start else b""',
        'if start else b"?"',
        "a session store says what is in it",
        _TEST + "test_it_reads_each_kind_of_value",
    ),
)
