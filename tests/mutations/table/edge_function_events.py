"""Mutations of the Edge Function and its SQL. Their tests need PostgreSQL and Deno: .ci/worker-proxy-services."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

SQL, FUNCTION = "../docs/worker-proxy/migration.sql", "../docs/worker-proxy/index.ts"
POLL, HELD = "worker_proxy/test_poll.py::", "worker_proxy/test_held_poll.py::"
EVENTS, TROUBLES = "worker_proxy/test_events.py::", "worker_proxy/test_event_troubles.py::"
CHAT = "what follows a message that was refused does not pass it (P5)"
FAIR = "a page is fair between instances, and ends after 200 rows or 1 MiB"
HOLD = "a poll is held while there is nothing, and ends at once when there is"
POOL = "polls that wait leave the database's connections to others"
WHOLE = "2xx is said of what was stored, and of nothing else (P3)"

MUTATIONS = (
    Mutation(
        "function-chat-passes",
        SQL,
        "        held := held || chat;\n",
        "",
        CHAT,
        f"{EVENTS}test_nothing_of_a_chat_passes_what_was_refused",
    ),
    Mutation(
        "function-refused-without-its-chat",
        FUNCTION,
        "problem: problem.message, ...chatOf(body) };",
        "problem: problem.message };",
        CHAT,
        f"{EVENTS}test_nothing_of_a_chat_passes_what_was_refused",
    ),
    Mutation(
        "function-event-takes-the-others",
        SQL,
        "when others then\n  get stacked",
        "when division_by_zero then\n  get stacked",
        "one bad event does not undo the others",
        f"{TROUBLES}test_an_event_that_postgresql_refuses_takes_no_other_with_it",
    ),
    Mutation(
        "function-deadlock-goes-on",
        SQL,
        "when deadlock_detected or serialization_failure then",
        "when division_by_zero then",
        "calls that meet let go of each other",
        f"{TROUBLES}test_calls_that_deadlock_let_go_of_each_other",
    ),
    Mutation(
        "function-marks-others",
        SQL,
        "where id = p_message_id and status <> 'sent' and instance_id = coalesce(p_instance_id, instance_id);",
        "where id = p_message_id and status <> 'sent';",
        "instances do not mix (P6)",
        f"{EVENTS}test_messages_are_marked_for_their_own_instance_alone",
    ),
    Mutation(
        "function-fails-others",
        SQL,
        "where id = p_message_id and status = 'queued' and instance_id = coalesce(p_instance_id, instance_id);",
        "where id = p_message_id and status = 'queued';",
        "instances do not mix (P6)",
        f"{EVENTS}test_messages_are_marked_for_their_own_instance_alone",
    ),
    Mutation(
        "function-believes-any-answer",
        FUNCTION,
        "words.length !== given.length || ",
        "",
        WHOLE,
        f"{TROUBLES}test_an_answer_in_the_place_of_the_database_counts_for_nothing",
    ),
    Mutation(
        "function-no-database",
        FUNCTION,
        '["events", { method: "POST", down: 503, answer: events }]',
        '["events", { method: "POST", down: 400, answer: events }]',
        WHOLE,
        f"{TROUBLES}test_no_database_is_503_for_the_whole_call",
    ),
    Mutation(
        "function-unfair",
        SQL,
        "    order by turn, queued_at, id\n    limit p_limit),",
        "    order by queued_at, id\n    limit p_limit),",
        FAIR,
        f"{POLL}test_a_page_is_fair_between_instances_and_oldest_first_in_each",
    ),
    Mutation(
        "function-page-without-end",
        SQL,
        "filter (where bytes <= p_bytes or place = 1)",
        "filter (where true)",
        FAIR,
        f"{POLL}test_a_page_ends_after_a_mebibyte",
    ),
    Mutation(
        "function-empty-page",
        SQL,
        "filter (where bytes <= p_bytes or place = 1)",
        "filter (where bytes <= p_bytes)",
        FAIR,
        f"{POLL}test_a_message_that_fills_a_page_goes_alone",
    ),
    Mutation(
        "function-looks-once",
        SQL,
        "      due := public.wa_poll_is_due(connected, down, p_other, p_shard, p_shards, p_peers)\n"
        "        or public.wa_pair_phones(p_shard, p_shards) <> phones;\n",
        "",
        HOLD,
        f"{HELD}test_a_look_that_waits_ends_at_once_too",
    ),
    Mutation(
        "function-holds-nothing",
        FUNCTION,
        "if (due || performance.now() >= until || listed",
        "if (true || listed",
        HOLD,
        f"{HELD}test_an_answer_without_news_is_held_for_as_long_as_the_worker_asks",
    ),
    Mutation(
        "function-wakes-for-others",
        SQL,
        "      where busy.id in (select unnest(p_connected)) and exists (",
        "      where exists (",
        HOLD,
        f"{HELD}test_what_is_no_news_does_not_end_it",
    ),
    Mutation(
        "function-switched-off-unheard",
        SQL,
        "    or exists (select unnest(p_down) except select unnest(listed))\n",
        "",
        HOLD,
        f"{HELD}test_a_held_answer_ends_at_once_with",
    ),
    Mutation(
        "function-lets-go-late",
        SQL,
        "  where not enabled and id in (select unnest(p_connected))\n",
        "  where false\n",
        "a worker lets go of what was switched off within seconds",
        f"{POLL}test_a_switched_off_instance_is_listed_until_its_worker_has_let_go_of_it",
    ),
    Mutation(
        "function-all-wait",
        SQL,
        "    pg_try_advisory_xact_lock(hashtext('wa_poll'), 1) or",
        "    pg_try_advisory_xact_lock_shared(hashtext('wa_poll'), 1) or",
        POOL,
        f"{HELD}test_two_wait_in_the_database_and_the_others_hear_of_it_all_the_same",
    ),
    Mutation(
        "function-goes-on-for-nobody",
        FUNCTION,
        "const next = lastPolls.get(worker) === request ?",
        'const next = worker !== "" ?',
        POOL,
        f"{HELD}test_a_poll_whose_worker_asks_anew_looks_no_more",
    ),
    Mutation(
        "function-reason-forgotten",
        SQL,
        "        reason = p_reason,\n",
        "",
        "the back end is told why an instance is down",
        f"{EVENTS}test_version_1_stores_the_same",
    ),
    Mutation(
        "function-older-one-left-out",
        SQL,
        "p_to text default null, p_instance_id text default null,\n  p_timestamp bigint default null\n",
        "p_to text, p_instance_id text,\n  p_timestamp bigint\n",
        "the older function goes on working on the new tables",
        "worker_proxy/test_before_contract_2.py",
    ),
)
