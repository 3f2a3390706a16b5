"""Mutations of what is said of groups: their messages, names and changes, and where an account may not write."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ORDER = "P3: changes of a group are told in order with its messages"
ONCE = "P3: a change that WhatsApp tells again is told once"
NAME = "group.subject is the name at the time when the message came"
NO_WAIT = "no message waits for the name of its group"
FAILURE = "a group where the account may not write is a clear failure"
BELIEF = "P4: only what the group itself shows is final"
OPTIONAL = "a proxy without the call loses no message, and is not asked for 10 minutes"
WHO = "members are named by phone number wherever it is known"
LOOP = "P3: a link without a name ends the library once, not each time"

_CHANGES = "whatsapp/group_changes.py"
_SUBJECTS = "whatsapp/group_subjects.py"
_INFO = "whatsapp/group_info.py"
_RECEIVING = "whatsapp/receiving.py"
_SESSION = "whatsapp/session.py"
_INBOUND = "delivery/inbound.py"
_OPTIONAL = "delivery/optional_call.py"

_E2E = "e2e/test_groups.py::"
_TEST_CHANGES = "whatsapp/test_group_changes.py::"
_TEST_SUBJECTS = "whatsapp/test_group_subjects.py::"
_TEST_RECEIVING = "whatsapp/test_receiving.py::"
_TEST_EVENTS = "delivery/test_group_events.py::"

_REFUSED = _E2E + "test_where_the_account_may_not_write"
_WITHOUT = _TEST_EVENTS + "test_a_proxy_without_the_call_is_asked_twice_and_then_not"

MUTATIONS = (
    # what changed
    Mutation(
        "group-leave-is-a-removal",
        _CHANGES,
        "GroupAction.LEAVE if left else action",
        "action",
        "who leaves is not said to be removed",
        _TEST_CHANGES + "test_a_change",
    ),
    Mutation(
        "group-members-by-lid",
        _CHANGES,
        "return tuple(phone_number(bare(each), None, phone_of) for each in raw)",
        "return tuple(bare(each) for each in raw)",
        WHO,
        _TEST_CHANGES + "test_a_change",
    ),
    Mutation(
        "group-author-by-lid",
        _CHANGES,
        "by = phone_number(bare(event.Sender), None, phone_of) if event.Sender.User else None",
        "by = bare(event.Sender) if event.Sender.User else None",
        WHO,
        _TEST_CHANGES + "test_a_change",
    ),
    Mutation(
        "group-change-known-by-its-time",
        _CHANGES,
        "(event.ParticipantVersionID,) if event.ParticipantVersionID else at",
        "at",
        ONCE,
        _TEST_CHANGES + "test_the_same_change_is_known_again_and_no_other",
    ),
    Mutation(
        "group-changes-of-one-kind-are-one",
        _CHANGES,
        "change.action.value, sorted(change.participants), what.mark))",
        "change.action.value, sorted(change.participants)))",
        "no change of a group is lost because one like it came before",
        _TEST_CHANGES + "test_the_same_change_is_known_again_and_no_other",
    ),
    Mutation(
        "group-description-that-was-taken-away",
        _CHANGES,
        '"" if event.Topic.TopicDeleted else event.Topic.Topic',
        "event.Topic.Topic",
        "a description that was taken away is empty",
        _TEST_CHANGES + "test_a_change",
    ),
    Mutation(
        "group-timer-that-was-switched-off",
        _CHANGES,
        "event.Ephemeral.DisappearingTimer if event.Ephemeral.IsEphemeral else 0",
        "event.Ephemeral.DisappearingTimer",
        "what is sent to a group carries its timer until it is switched off",
        _TEST_CHANGES + "test_the_timer_of_a_group",
    ),
    Mutation(
        "group-timer-not-noted",
        _RECEIVING,
        "self._inbox.timers.note(instance, timer)",
        "pass",
        "what is sent to a group carries its timer",
        _TEST_RECEIVING + "test_the_timer_of_a_group_is_kept",
    ),
    Mutation(
        "group-change-rings-nobody",
        _RECEIVING,
        "            if any(new):\n                self._told.message()\n",
        "",
        "a change of a group is told at once",
        _TEST_RECEIVING + "test_a_group_has_its_name_as_soon_as_that_is_known",
    ),
    # what a group is called
    Mutation(
        "group-name-not-kept",
        _RECEIVING,
        "                self.subjects.learn(instance, subject)\n",
        "                pass\n",
        NAME,
        _TEST_RECEIVING + "test_a_group_has_its_name_as_soon_as_that_is_known",
    ),
    Mutation(
        "group-name-older-wins",
        "journal/groups.py",
        "\nWHERE excluded.set_at >= groups.set_at",
        "",
        NAME,
        "journal/test_groups.py::test_what_is_newer_counts",
    ),
    Mutation(
        "group-name-stays-in-memory",
        _SUBJECTS,
        "        self._known.pop((instance, subject.group), None)  # what was put may be older than what is known\n",
        "",
        NAME,
        _TEST_SUBJECTS + "test_an_older_name_that_comes_late_changes_nothing",
    ),
    Mutation(
        "group-names-without-bound",
        _SUBJECTS,
        "            self._known.clear()\n",
        "            pass\n",
        "memory is bounded",
        _TEST_SUBJECTS + "test_memory_is_bounded",
    ),
    Mutation(
        "group-asked-for-with-each-message",
        _SUBJECTS,
        "now - self._asked.get(group, -ASK_AGAIN) < ASK_AGAIN or ",
        "",
        "WhatsApp is asked for a group once, not with each message",
        _TEST_SUBJECTS + "test_a_group_is_asked_for_once_in_a_while",
    ),
    Mutation(
        "groups-in-line-without-bound",
        _SUBJECTS,
        " or len(self._waiting) >= MOST_WAITING",
        "",
        "memory is bounded",
        _TEST_SUBJECTS + "test_a_group_is_asked_for_once_in_a_while",
    ),
    Mutation(
        "group-look-up-of-another-session-forgotten",
        _SUBJECTS,
        "if self._subjects.ask.get(self._native.instance) == self.ask:",
        "if True:",
        "a session that was opened anew asks for names",
        _TEST_SUBJECTS + "test_a_session_that_has_ended_is_not_asked",
    ),
    Mutation(
        "group-never-asked-for",
        _SESSION,
        "        self._look_up.start(self._host.threads)\n",
        "",
        NAME,
        _E2E + "test_texts_both_ways_in_order_and_once",
    ),
    # where the account may not write
    Mutation(
        "group-refusal-not-explained",
        "whatsapp/session_sender.py",
        "                failure = why_refused(self._native, to, me, failure)\n",
        "                pass\n",
        FAILURE,
        _REFUSED,
    ),
    Mutation(
        "group-420-is-final",
        _INFO,
        "if info.GroupAnnounce.IsAnnounce and not member.IsAdmin:",
        "if not member.IsAdmin:",
        BELIEF,
        _REFUSED,
    ),
    Mutation(
        "group-without-the-account",
        _INFO,
        "    if member is None:\n",
        "    if False:\n",
        FAILURE,
        "whatsapp/test_group_info.py::test_what_a_refusal_means",
    ),
    Mutation(
        "group-that-is-gone-is-tried-again",
        _INFO,
        "if isinstance(meant, SendRefused) and meant.failure is Failure.NO_SUCH_GROUP:",
        "if False:",
        FAILURE,
        _REFUSED,
    ),
    Mutation(
        "group-asked-while-closing",
        _INFO,
        "        if native.closing:\n            return None\n",
        "",
        "no call reaches a session that has been stopped: it would end the process",
        "whatsapp/test_group_info.py::test_a_session_that_closes_is_not_asked",
    ),
    # the library's loop
    Mutation(
        "groups-asked-for-again",
        "whatsapp/session_host.py",
        ", events.GROUPS: self.no_groups_until}",
        "}",
        LOOP,
        _E2E + "test_a_link_without_a_name_costs_changes_and_no_message",
    ),
    # the proxy
    Mutation(
        "group-change-as-a-message",
        "edge/events.py",
        "        return _group_event(instance, message, message.group_change)\n",
        "        pass\n",
        "a change of a group is no customer's message",
        _TEST_EVENTS + "test_changes_and_messages_keep_their_order",
    ),
    Mutation(
        "group-subject-left-out",
        "edge/inbound_body.py",
        " and kind is not Group",
        "",
        "group.subject is null where it is not known",
        _E2E + "test_texts_both_ways_in_order_and_once",
    ),
    Mutation(
        "event-call-asked-for-ever",
        _INBOUND,
        "return self._group_events.absent if error is None",
        "return False if error is None",
        OPTIONAL,
        _WITHOUT,
    ),
    Mutation(
        "event-call-missing-holds-up-messages",
        _INBOUND,
        "if self._has_no_call(row, error, batches=batches):",
        "if False:",
        OPTIONAL,
        _WITHOUT,
    ),
)
