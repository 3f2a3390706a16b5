"""Mutations of what customers do on Supabase: calls, policies, retention, notices, the page.

Their tests need PostgreSQL and Deno, and the page's a browser: .ci/worker-proxy-services.
"""

from __future__ import annotations

from tests.mutations.mutation import Mutation

KIT = "../docs/worker-proxy/"
CUSTOMERS, RETENTION, NOTICES = f"{KIT}customers.sql", f"{KIT}retention.sql", f"{KIT}notices.sql"
TENANTS, OLD = "worker_proxy/test_customers.py::", "worker_proxy/test_retention.py::"
NIGHTS, PAGE = "worker_proxy/test_notices.py::", "worker_proxy/test_connect_page.py::"
APART = "a tenant sees and does nothing of another's (P6)"
FORGOTTEN = "of a person who is deleted nothing is left, and of others all (lgpd.md)"
NIGHT = "the commonest nights each reach a human within five minutes"
QUIET = "nobody is woken for what passes, nor twice for the same"

MUTATIONS = (
    Mutation(
        "customers-anothers-instance",
        CUSTOMERS,
        "where id = p_id and tenant_id = tenant for update;",
        "where id = p_id for update;",
        APART,
        f"{TENANTS}test_anothers_instance_is_answered_like_none",
    ),
    Mutation(
        "customers-policy-open",
        CUSTOMERS,
        'create policy "own instances" on public.wa_instances for select to authenticated\n'
        "  using (tenant_id = (select public.wa_tenant()));",
        'create policy "own instances" on public.wa_instances for select to authenticated\n  using (true);',
        APART,
        f"{TENANTS}test_a_tenant_reads_and_queues_what_is_theirs_and_changes_nothing_else",
    ),
    Mutation(
        "customers-claim-of-the-users-own",
        CUSTOMERS,
        "claims -> 'app_metadata' ->> 'tenant_id'",
        "claims -> 'user_metadata' ->> 'tenant_id'",
        APART,
        f"{TENANTS}test_a_tenant_reads_and_queues_what_is_theirs_and_changes_nothing_else",
    ),
    Mutation(
        "customers-table-grant-stays",
        CUSTOMERS,
        "revoke all on table public.wa_instances from authenticated; -- the whole table, which the example gave\n",
        "",
        "a secret column of later is in no grant",
        f"{TENANTS}test_the_present_state_is_upgraded_and_a_second_run_changes_nothing",
    ),
    Mutation(
        "customers-anonymous",
        CUSTOMERS,
        "when claims ->> 'is_anonymous' = 'true' then null",
        "when false then null",
        "anonymous users are no tenants",
        f"{TENANTS}test_who_is_not_signed_in_has_no_call",
    ),
    Mutation(
        "customers-limit-races",
        CUSTOMERS,
        "  perform pg_advisory_xact_lock(hashtextextended('wa_create_instance ' || tenant, 0));\n",
        "",
        "a tenant has no more numbers than the limit",
        f"{TENANTS}test_the_limit_holds_for_two_pages_at_once",
    ),
    Mutation(
        "customers-delete-connected",
        CUSTOMERS,
        "if before.status = 'CONNECTED' and before.updated_at > now() - interval '15 minutes' then",
        "if false then",
        "what the worker still holds is not deleted under it",
        f"{TENANTS}test_a_life",
    ),
    Mutation(
        "retention-ninth-digit",
        RETENTION,
        "      select regexp_replace(id, '^(55[0-9]{2})9([0-9]{8}@s)', '\\1\\2') from unnest(ids) as id\n      union\n",
        "",
        FORGOTTEN,
        f"{OLD}test_of_a_person_nothing_is_left_and_of_others_all",
    ),
    Mutation(
        "retention-quote-stays",
        RETENTION,
        "  update public.wa_inbound\n  set context = case when context ->> 'from' = any (ids) then",
        "  update public.wa_inbound\n  set context = case when false then",
        FORGOTTEN,
        f"{OLD}test_of_a_person_nothing_is_left_and_of_others_all",
    ),
    Mutation(
        "retention-file-stays",
        RETENTION,
        "update public.wa_files set asked_at = 'epoch', filename = null",
        "update public.wa_files set filename = null",
        FORGOTTEN,
        f"{OLD}test_of_a_person_nothing_is_left_and_of_others_all",
    ),
    Mutation(
        "retention-queued-goes",
        RETENTION,
        "where status <> 'queued' and updated_at < before",
        "where updated_at < before",
        "what is still queued is not deleted for its age",
        f"{OLD}test_what_is_old_goes_a_part_at_a_time_and_what_waits_stays",
    ),
    Mutation(
        "notices-code-is-no-logout",
        NOTICES,
        "case when reason in ('scan', 'waiting') then 'logged_out' else",
        "case when false then 'logged_out' else",
        NIGHT,
        f"{NIGHTS}test_night_2_all_phones_logged_out",
    ),
    Mutation(
        "notices-third-never",
        NOTICES,
        "or down_since <= now() - p_after);",
        "or false);",
        NIGHT,
        f"{NIGHTS}test_night_3_a_third_is_down",
    ),
    Mutation(
        "notices-deploy-wakes",
        NOTICES,
        "'crashed', 'worker_stopping', 'unknown') then true",
        "'crashed', 'unknown') then true",
        QUIET,
        f"{NIGHTS}test_a_deploy_wakes_nobody_and_a_worker_that_stays_away_does",
    ),
    Mutation(
        "notices-another-proxy-wakes",
        NOTICES,
        "when p_reason in ('connected', 'restricted') then true",
        "when p_reason in ('connected', 'restricted') then false",
        QUIET,
        f"{NIGHTS}test_another_proxy_wakes_nobody_and_one_that_fails_does",
    ),
    Mutation(
        "notices-outage-starts-anew",
        NOTICES,
        "new.down_since := coalesce(old.down_since, now());",
        "new.down_since := now();",
        QUIET,
        f"{NIGHTS}test_night_1_a_ban_is_told_at_once_and_once",
    ),
    Mutation(
        "notices-cost-the-call",
        NOTICES,
        "exception\nwhen others then\n  raise warning 'wa_notice_troubles: % %', sqlstate, sqlerrm;\n  return null;\n",
        "",
        "a fault of the notices does not cost the worker its status (P2)",
        f"{NIGHTS}test_a_fault_of_the_notices_does_not_cost_the_worker_its_call",
    ),
    Mutation(
        "page-without-a-fallback",
        f"{KIT}numbers.js",
        "again ? 0 : live ? LIVE : POLLING",
        "again ? 0 : LIVE",
        "the page is true without Realtime, too",
        f"{PAGE}test_without_realtime_it_looks_every_few_seconds",
    ),
    Mutation(
        "page-lacks-a-reason",
        f"{KIT}words.js",
        '    banned: "O WhatsApp baniu',
        '    bannned: "O WhatsApp baniu',
        "each reason of the contract has words in both languages",
        "worker_proxy/test_connect_react.py::test_the_component_and_what_it_shares_with_the_page_have_no_type_errors",
    ),
    Mutation(
        "page-code-not-stored",
        f"{KIT}index.ts",
        'pairing_code: optionalText(body, "pairing_code", MAX_ID)',
        "pairing_code: null",
        "the code to type reaches the page",
        f"{PAGE}test_a_phone_types_the_code_that_the_page_shows",
    ),
    Mutation(
        "page-code-not-shown",
        f"{KIT}connect.js",
        'write(part(element, ".code"), row.pairing_code ?? "")',
        'write(part(element, ".code"), "")',
        "the code to type is on the page",
        f"{PAGE}test_a_phone_types_the_code_that_the_page_shows",
    ),
    Mutation(
        "page-phone-not-asked",
        f"{KIT}customers.sql",
        "set enabled = true, pair_phone = digits,",
        "set enabled = true, pair_phone = null,",
        "who gives a number is paired by a code",
        f"{PAGE}test_a_phone_types_the_code_that_the_page_shows",
    ),
)
