"""Mutations that several real workers on one real PostgreSQL notice, and those of what they have found."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "marks-settled-raises",
        "delivery/marks.py",
        'await when_it_can_be_read(read, what="outcome")',
        "await trio.to_thread.run_sync(read)",
        "PostgreSQL away: no instance crashes",
        "delivery/test_marks.py::test_a_journal_that_cannot_be_read_is_asked_again",
    ),
    Mutation(
        "lifecycle-hold-read-once",
        "instances/lifecycle.py",
        "await when_it_can_be_read(read, instance=self._state.instance)",
        "await trio.to_thread.run_sync(read)",
        "PostgreSQL away: no instance begins before it is known whether a ban has passed",
        "instances/test_supervisor.py::test_a_journal_that_cannot_be_read_is_no_crash",
    ),
    Mutation(
        "supervisor-journal-error-is-a-crash",
        "instances/supervisor.py",
        "            except* JournalError as group:\n",
        "            except* KeyboardInterrupt as group:\n",
        "PostgreSQL away: no instance crashes",
        "instances/test_supervisor.py::test_nor_is_one_that_any_part_of_it_could_not_read",
    ),
    Mutation(
        "app-start-reads-once",
        "delivery/journal_read.py",
        '            log.error("the journal cannot be read", reason=str(error), **said)\n',
        "            raise\n",
        "PostgreSQL away for a moment: a worker that starts just then goes on",
        "test_app.py::test_what_the_start_reads_is_asked_for_until_it_comes",
    ),
    Mutation(
        "native-hands-over-in-haste",
        "whatsapp/native_session.py",
        " or not self._goes_on():\n",
        " or self._goes_on():\n",
        "P3: in order per chat, over a hand-over too",
        "whatsapp/test_session.py::test_cancelled_while_a_message_waits_for_the_disk_it_waits_too",
    ),
    Mutation(
        "shared-without-watchdog",
        "app/shared.py",
        "                watchdog.start()\n",
        "",
        "a worker is gone before its peers take what it had",
        "cluster/test_partitions.py::test_cut_off_from_postgresql_it_ends_before_others_take_over[both_ways]",
    ),
    Mutation(
        "app-without-drain",
        "app/work.py",
        "                    self.stop.hand_over(partial(together.drain, settings.drain), settings.drain)\n",
        "",
        "a worker that stops hands over what it has",
        "cluster/test_rolling.py::test_a_rolling_deploy_hands_over_and_the_proxy_hears_of_no_end",
    ),
)
