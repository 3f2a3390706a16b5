"""Mutations of the end of a session in the middle of a message."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "unfinished-not-waited-for",
        "whatsapp/native_session.py",
        "            late = not self.unfinished or trio.current_time() >= until\n",
        "            late = True\n",
        "P3: what the library is in the middle of is taken before the close",
        "whatsapp/test_session.py::test_what_the_library_is_in_the_middle_of_is_on_disk_when_it_has_closed",
    ),
    Mutation(
        "unfinished-log-unheard",
        "whatsapp/session.py",
        "        self._native.unfinished.on_log(message)\n",
        "",
        "P3: what the library is in the middle of is taken before the close",
        "whatsapp/test_session.py::test_what_the_library_is_in_the_middle_of_is_on_disk_when_it_has_closed",
    ),
    Mutation(
        "unfinished-any-event-ends-it",
        "whatsapp/unfinished.py",
        "        if self._id is not None and self._id.encode() in data:\n",
        "        if self._id is not None:\n",
        "its own event is waited for",
        "whatsapp/test_unfinished.py::test_its_event_ends_the_wait_and_no_other",
    ),
    Mutation(
        "unfinished-for-ever",
        "whatsapp/unfinished.py",
        "        elif self._id is not None and self._id in message:\n            self._id = None\n",
        "",
        "a message that will not be handed over is not waited for",
        "whatsapp/test_unfinished.py::test_another_word_of_it_ends_the_wait",
    ),
)
