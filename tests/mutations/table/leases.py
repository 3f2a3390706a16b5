"""Mutations of leases and claims: which worker owns which instance."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_ONE = "at most one worker believes that it owns an instance"
_BACK = "every wanted instance is owned again soon after a fault"
_FAIR = "workers share the instances evenly, and move few at a time"
_FENCE = "who no longer owns an instance reads and writes nothing of it"
_FINAL = "nothing is final on one unproven word"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "lease-counted-from-the-answer",
        "ownership/owner.py",
        """        self._check(now)
        self.lease.renew(started)""",
        """        self._check(now)
        self.lease.renew(now)""",
        _ONE,
        "ownership/test_simulation.py::test_at_most_one_worker_owns_an_instance_whatever_happens",
    ),
    Mutation(
        "lease-shorter-than-what-clocks-may-differ",
        "ownership/lease.py",
        "TTL = 15.0",
        "TTL = 12.0",
        _ONE,
        "ownership/test_simulation.py::test_at_most_one_worker_owns_an_instance_whatever_happens",
    ),
    Mutation(
        "lease-comes-back",
        "ownership/owner.py",
        "        self._check(now)  # before it counts: what is over stays over\n",
        "",
        "a worker that has stopped at its deadline does not go on",
        "ownership/test_owner.py::test_a_lease_that_ran_out_does_not_come_back",
    ),
    Mutation(
        "lease-claimed-too-late",
        "ownership/owner.py",
        "        self._check(now)\n        self._to_claim = 0\n",
        "        self._to_claim = 0\n",
        _ONE,
        "ownership/test_owner.py::test_nothing_begins_after_the_deadline",
    ),
    Mutation(
        "lease-takes-back-what-it-gives-away",
        "ownership/owner.py",
        "self.leaving.get(instance) == claimed.token:",
        "False:",
        _ONE,
        "ownership/test_owner.py::test_what_is_being_given_away_is_not_taken_back_under_the_same_token",
    ),
    Mutation(
        "lease-claim-without-an-answer",
        "ownership/owner.py",
        "self._list = (view.mine, view.tokens) != (len(known), sum(known))",
        "self._list = False",
        _BACK,
        "ownership/test_simulation.py::test_at_most_one_worker_owns_an_instance_whatever_happens",
    ),
    Mutation(
        "lease-no-patience",
        "ownership/owner.py",
        "limit = min(self._share(view), capacity) if patient else capacity",
        "limit = min(self._share(view), capacity)",
        _BACK,
        "ownership/test_owner.py::test_it_takes_more_than_its_share_when_the_others_do_not",
    ),
    Mutation(
        "lease-uneven",
        "ownership/lease.py",
        "return mine - lowest >= max(2, 2 * SLACK * share)",
        "return False",
        _FAIR,
        "ownership/test_simulation.py::test_a_new_worker_gets_its_share",
    ),
    Mutation(
        "lease-hands-over-all-at-once",
        "ownership/owner.py",
        "        self._hand_over_at = now + self._pause\n",
        "",
        _FAIR,
        "ownership/test_owner.py::test_the_idlest_goes_to_a_peer_that_has_less_and_one_at_a_time",
    ),
    Mutation(
        "lease-moves-while-whatsapp-is-down",
        "ownership/lease.py",
        "        if not better:\n            self.cut_off = self._on_trial = False\n        elif self.cut_off",
        "        if self.cut_off",
        "when WhatsApp answers nobody, nothing moves",
        "ownership/test_simulation.py::test_when_whatsapp_answers_nobody_nothing_moves",
    ),
    Mutation(
        "lease-poison-goes-round",
        "ownership/lease.py",
        "        return Verdict(False, MOST_CLAIMS + 1, CLAIMS_WINDOW)",
        "        return Verdict(True, claims, _pause(claims))",
        "an instance that ends its worker does not end all of them",
        "ownership/test_simulation.py::test_an_instance_that_kills_its_workers_is_held",
    ),
    Mutation(
        "lease-poison-for-good",
        "ownership/lease.py",
        "        return Verdict(True, MOST_CLAIMS, _pause(MOST_CLAIMS))",
        "        return Verdict(False, claims, CLAIMS_WINDOW)",
        _FINAL,
        "ownership/test_lease.py::test_an_instance_that_ends_its_workers_is_held",
    ),
    Mutation(
        "lease-drain-does-not-wait",
        "ownership/owner.py",
        "return max(0, DRAIN_BATCH - view.claimable - len(self.leaving))",
        "return DRAIN_BATCH",
        "a stopping worker gives away as fast as its peers take",
        "ownership/test_owner.py::test_a_stopping_worker_gives_away_as_fast_as_its_peers_take",
    ),
    Mutation(
        "claims-renews-what-has-run-out",
        "ownership/statements.py",
        "    WHERE id = %(me)s AND expires_at > clock_timestamp()\n    RETURNING 1",
        "    WHERE id = %(me)s\n    RETURNING 1",
        "a lease that has run out is never renewed",
        "ownership/test_claims.py::test_a_lease_is_renewed_until_it_has_run_out_and_then_never",
    ),
    Mutation(
        "claims-of-the-living",
        "ownership/statements.py",
        "NOT EXISTS (SELECT FROM workers w WHERE w.id = instances.owner))\n    ORDER BY",
        "true)\n    ORDER BY",
        _ONE,
        "ownership/test_claims.py::test_two_that_claim_at_once_never_get_the_same",
    ),
    Mutation(
        "claims-former-sessions-go-on",
        "ownership/claims.py",
        "            self._end_former(sql, claimed)\n        return claimed\n\n    def _take",
        "        return claimed\n\n    def _take",
        _FENCE,
        "ownership/test_claims.py::test_a_session_under_an_old_token_is_ended_and_finds_nothing",
    ),
    Mutation(
        "claims-empty-keys",
        "ownership/schemas.py",
        "    elif not found:",
        "    elif True:",
        _FINAL,
        "ownership/test_claims.py::test_keys_under_a_token_that_nobody_expects_are_not_replaced_by_none",
    ),
    Mutation(
        "claims-given-away-by-anyone",
        "ownership/statements.py",
        " AND i.token = given.token AND i.owner = %(me)s",
        "",
        _ONE,
        "ownership/test_claims.py::test_giving_away_needs_the_token",
    ),
    Mutation(
        "claims-wait-for-a-dead-worker",
        "ownership/claims.py",
        "                ended = sql.execute(END_DEAD).fetchone()",
        "                ended = None",
        _BACK,
        "ownership/test_claims.py::test_a_transaction_that_does_not_end_is_ended",
    ),
    Mutation(
        "keeper-frees-what-still-runs",
        "ownership/keeper.py",
        "            if not self._owner.owned and not self._owner.leaving:\n                await self._try",
        "            if True:\n                await self._try",
        _ONE,
        "ownership/test_keeper.py::test_a_session_that_does_not_close_keeps_its_worker_in_the_database",
    ),
    Mutation(
        "keeper-waits-past-its-deadline",
        "ownership/keeper.py",
        "        if lost:\n",
        "        if False:\n",
        "a worker whose lease is over ends",
        "ownership/test_keeper.py::test_a_worker_whose_row_was_deleted_ends",
    ),
    Mutation(
        "keeper-told-once",
        "ownership/notices.py",
        "        self._known.difference_update(taken.wanted)\n",
        "",
        "what the database could not be told is told again",
        "ownership/test_notices.py::test_what_could_not_be_told_is_told_again",
    ),
)
