"""Mutations of the native sessions and of pairing."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

CUT = "what WhatsApp has yet to deliver when the library's loop ends is not acknowledged and lost (P3)"
NO_NAME = "a ban or refusal without a name is what it is: no crash loop, no logout"
TURN = "a session that never had its turn ends at once and keeps nobody waiting (P4, P7)"
CAP = "instances that are not paired take turns, and cost only so much memory at once (P4)"
EARLY = "messages that came between a scan and the first session reach the journal (P3)"
GATE = "calls into the library pass the start gate: the process is not aborted"

MUTATIONS = (
    Mutation(
        "loop-not-cut",
        "whatsapp/client.py",
        "        if not self._stopped:\n            self.cut()\n",
        "",
        CUT,
        "whatsapp/test_session.py::test_a_loop_that_ends_by_itself_is_cut_at_once",
    ),
    Mutation(
        "cut-waits-at-the-gate",
        "whatsapp/client.py",
        "        self._gate.pass_at_once()\n",
        "        self._gate.pass_through()\n",
        CUT,
        "whatsapp/test_native_calls.py::test_the_cut_of_a_loop_that_has_ended_does_not_wait",
    ),
    Mutation(
        "call-beside-the-gate",
        "whatsapp/client.py",
        "            self._gate.pass_through()\n",
        "",
        GATE,
        "whatsapp/test_native_calls.py::test_a_call_waits_while_a_start_is_under_way",
    ),
    Mutation(
        "stores-beside-the-gate",
        "whatsapp/client.py",
        "        for part in (self.contact, self.chat_settings):",
        "        for part in (self.contact,):",
        GATE,
        "whatsapp/test_native_calls.py::test_a_client_has_no_way_around",
    ),
    Mutation(
        "stop-outside-the-gate",
        "whatsapp/native_session.py",
        "            async with self._gate.exclusive():\n                await self._in_thread(self.client.stop)\n"
        "                await self._ended.wait()",
        "            await self._in_thread(self.client.stop)\n            await self._ended.wait()",
        GATE,
        "whatsapp/test_native_calls.py::test_starts_and_stops_are_alone",
    ),
    Mutation(
        "unknown-ban-is-a-failed-opening",
        "whatsapp/loop_end.py",
        "    if _BAN in error:",
        "    if not error:",
        NO_NAME,
        "whatsapp/test_session.py::test_a_ban_for_a_reason_without_a_name_is_a_ban",
    ),
    Mutation(
        "unknown-ban-without-its-end",
        "whatsapp/loop_end.py",
        "ban_seconds(told.expire or 0)",
        "None",
        "a ban lasts until it expires",
        "whatsapp/test_session.py::test_a_ban_for_a_reason_without_a_name_is_a_ban",
    ),
    Mutation(
        "unknown-refusal-is-a-failed-opening",
        "whatsapp/loop_end.py",
        "    if _FAILURE in error:",
        "    if not error:",
        NO_NAME,
        "whatsapp/test_session.py::test_a_refusal_for_a_reason_without_a_name_is_a_refusal",
    ),
    Mutation(
        "never-begun-is-taken-down",
        "whatsapp/native_session.py",
        "        if not self._begun:\n            return\n",
        "",
        TURN,
        "whatsapp/test_native_session.py",
    ),
    Mutation(
        "always-begun",
        "whatsapp/native_session.py",
        '        self._begun = False\n        """Whether',
        '        self._begun = True\n        """Whether',
        TURN,
        "e2e/test_shutdown.py::test_at_boot_while_sessions_wait_for_their_turn",
    ),
    Mutation(
        "no-cap-on-pairings",
        "app/work.py",
        "            at_once=self.settings.pairings_at_once,\n",
        "",
        CAP,
        "e2e/test_pairing.py::test_of_many_that_are_not_paired_as_many_show_codes_as_may_at_once",
    ),
    Mutation(
        "place-kept-over-rounds",
        "whatsapp/pairing.py",
        "            self._places.release_on_behalf_of(holder)",
        "            pass",
        CAP,
        "instances/test_pairing.py::test_those_for_whom_there_is_no_place_take_turns",
    ),
    Mutation(
        "queued-and-silent",
        "instances/pairing.py",
        '        state.apply(Event.QUEUED, f"{ahead} more wait before it" if ahead else "it is the next")\n',
        "",
        "GET /instances says what an instance waits for",
        "instances/test_pairing.py::test_those_for_whom_there_is_no_place_take_turns",
    ),
    Mutation(
        "rest-of-a-pairing-dropped",
        "instances/pairing.py",
        "                    await early.take_rest(line)\n",
        "                    pass\n",
        EARLY,
        "instances/test_pairing.py::test_a_message_that_the_host_still_has_when_the_worker_stops_is_in_the_journal",
    ),
    Mutation(
        "message-in-hand-dropped",
        "instances/pairing.py",
        "                await self.take(self._in_hand)\n",
        "                pass\n",
        EARLY,
        "instances/test_pairing.py::test_nor_is_one_lost_that_the_disk_does_not_take_at_that_moment",
    ),
    Mutation(
        "scanned-and-ended-without-its-messages",
        "whatsapp/pairing_host.py",
        "            if scanned := self._scanned:\n                pass\n            elif not self._over:",
        "            if not self._over:\n                scanned = False",
        EARLY,
        "whatsapp/test_pairing_host.py::"
        "test_told_to_end_after_a_scan_it_hands_over_what_came_and_leaves_a_paired_store",
    ),
    Mutation(
        "early-messages-dropped-when-many",
        "whatsapp/host_process.py",
        "                    await listener.deliver(EarlyMessage(data, me))",
        "                    listener.offer(EarlyMessage(data, me))",
        EARLY,
        "whatsapp/test_pairing.py::test_messages_are_not_dropped_however_many_there_are",
    ),
    Mutation(
        "host-inherits-everything",
        "app/work.py",
        "            environ=host_environment(environ),\n",
        "",
        "the process that pairs knows no secret (P8)",
        "e2e/test_pairing.py::test_the_process_that_pairs_knows_no_secret",
    ),
    Mutation(
        "socket-of-a-failed-start-kept",
        "whatsapp/host_process.py",
        "            ours.close()\n",
        "",
        "a host that cannot be started leaves nothing behind",
        "whatsapp/test_pairing.py::test_one_that_cannot_be_started_leaves_no_descriptor",
    ),
    Mutation(
        "last-words-cut-off",
        "whatsapp/host_process.py",
        "                    await printed.wait()\n",
        "                    pass\n",
        "what a host prints when it aborts is in the log",
        "whatsapp/test_pairing.py::test_so_are_those_that_come_together_with_the_end",
    ),
    Mutation(
        "last-line-cut-off",
        "whatsapp/host_process.py",
        "    if last and rest:\n        yield rest\n",
        "",
        "what a host prints when it aborts is in the log",
        "whatsapp/test_pairing.py::test_the_last_words_of_one_that_aborts_are_in_our_log",
    ),
    Mutation(
        "ban-accuses",
        "whatsapp/events.py",
        ' if ban.HasField("Code") else UNKNOWN',
        "",
        "the log names a reason only where WhatsApp did",
        "whatsapp/test_events.py::test_what_a_session_reports",
    ),
    Mutation(
        "receipts-asked-for-again",
        "whatsapp/session_host.py",
        "events.RECEIPTS: self.no_receipts_until, ",
        "",
        "P3: a receipt of a type without a name ends the library once, not each time",
        "e2e/test_endings.py::test_a_receipt_that_ended_the_library_does_so_once",
    ),
    Mutation(
        "session-says-nothing-of-what-may-be-lost",
        "whatsapp/session.py",
        "failing, self._in_hand = False, True",
        "failing = False",
        "what the disk did not take in time is said",
        "e2e/test_disk.py::test_sigterm_ends_it_while_the_disk_hangs",
    ),
)
