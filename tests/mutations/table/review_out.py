"""Mutations of rows of every type, second look: what is kept, what waits for whom, whose word counts."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

SAID = "delivery/test_file_facts.py::test_what_a_host_says_in_place_of_a_file_may_pass"
PAGE = "delivery/test_file_facts.py::test_a_page_is_a_document_where_one_is_wanted"
SIGNED = "delivery/test_preparing.py::test_a_link_that_is_signed_anew_for_each_listing_is_the_same_file"
DEAD = "delivery/test_preparing.py::test_links_that_are_dead_keep_no_other_instance_s_files_waiting"
UNREADABLE = "whatsapp/test_authors.py::test_a_store_that_cannot_be_read_now_says_nothing"
EACH = "delivery/test_preparing.py::test_no_instance_prepares_more_than_so_many_at_once"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "batch-forgets-what-was-sent",
        "delivery/batch.py",
        "                    if outcomes:  # what was sent before is recorded",
        "                    if False:  # what was sent before is recorded",
        "P1: what WhatsApp has accepted is recorded, whatever keeps the next from being sent",
        "delivery/test_batch.py::test_what_was_sent_is_recorded_though_the_next_cannot_be_looked_up",
    ),
    Mutation(
        "signed-link-is-another-file",
        "delivery/preparing.py",
        'link=content.link.partition("?")[0]',
        "link=content.link",
        "a link that is signed anew for each listing is the same file",
        SIGNED,
    ),
    Mutation(
        "signed-link-is-never-dropped",
        "delivery/preparing.py",
        "            self._places.pop(_at(instance, row), None)\n\n    def begin",
        "            self._places.pop((instance, row), None)\n\n    def begin",
        "what was sent is forgotten",
        SIGNED,
    ),
    Mutation(
        "dead-links-take-all-slots",
        "delivery/preparing.py",
        "async with own, self._slots:",
        "async with self._slots:",
        "one instance's links hold up no other instance",
        DEAD,
    ),
    Mutation(
        "files-take-the-places-of-typing",
        "delivery/preparing.py",
        " and _has_file(other) == _has_file(row)",
        "",
        "files that are slow hold up no text of another chat",
        EACH,
    ),
    Mutation(
        "worker-trouble-is-a-try",
        "delivery/preparing.py",
        "        except WorkerTrouble as error:\n",
        "        except ZeroDivisionError as error:\n",
        "what the worker cannot is no try of the message",
        "delivery/test_preparing.py::test_what_the_worker_cannot_is_no_try_of_the_message",
    ),
    Mutation(
        "typing-for-as-long-as-it-takes",
        "delivery/preparing.py",
        "trio.move_on_after(TYPING_PATIENCE)",
        "trio.move_on_after(60)",
        "no message waits for long to show that somebody writes",
        "delivery/test_preparing.py::test_a_library_that_does_not_show_it_keeps_no_message",
    ),
    Mutation(
        "upload-counted-before-it-begins",
        "whatsapp/uploads.py",
        "            if call.before and not call.over:\n",
        "            if not call.over:\n",
        "an upload that never began hangs for nobody",
        "whatsapp/test_uploads.py::test_whoever_gives_up_before_it_begins_leaves_no_count",
    ),
    Mutation(
        "full-disk-is-the-message-s",
        "edge/link_fetch.py",
        'raise WorkerTrouble(f"a file cannot be written: {error.strerror or error}", pause=PAUSE) from error',
        'raise _delayed(f"a file cannot be written: {error.strerror or error}") from error',
        "a full disk is no try of the message",
        "edge/test_link_fetch.py::test_a_full_disk_is_the_worker_s_trouble",
    ),
    Mutation(
        "router-s-404-is-final",
        "edge/link_fetch.py",
        'content_type.lower().startswith("text/plain"):',
        "not content_type:",
        "a router's word is not the host's",
        "edge/test_link_fetch.py::test_a_router_s_404_is_not_the_host_s_word",
    ),
    Mutation(
        "trickle-up-to-the-largest",
        "edge/link_fetch.py",
        "trio.fail_after(PATIENCE) as scope",
        "trio.fail_after(PATIENCE + self._limit / SLOWEST) as scope",
        "a host that trickles is given up",
        "edge/test_link_fetch.py::test_one_that_trickles_is_given_up_though_it_does_not_say_its_size",
    ),
    Mutation(
        "large-files-get-no-more-time",
        "edge/link_fetch.py",
        "                    scope.deadline = patience + size / SLOWEST\n",
        "",
        "a large file has the time that it takes",
        "edge/test_link_fetch.py::test_what_comes_steadily_has_its_time",
    ),
    Mutation(
        "preparing-is-quiet",
        "delivery/sending.py",
        "if result.tried or result.unprepared:",
        "if result.tried:",
        "while a file is prepared, other chats do not wait for the next seldom poll",
        "delivery/test_preparing.py::test_while_a_file_is_prepared_other_chats_are_asked_for_as_if_something_happened",
    ),
    Mutation(
        "lookups-take-everybody-s-threads",
        "edge/public_address.py",
        "limiter=_LOOKUPS, ",
        "",
        "names that nobody resolves take no thread from the rest",
        "edge/test_public_address.py::test_lookups_that_hang_take_nobody_s_threads",
    ),
    Mutation(
        "wrote-by-another-instance",
        "journal/ledger.py",
        "FROM ledger WHERE instance = ? AND wa_id = ?)",
        "FROM ledger WHERE (instance = ? OR 1) AND wa_id = ?)",
        "whose a message is, is known of each instance by itself",
        "journal/test_ledger.py::test_what_an_instance_wrote_is_its_own",
    ),
    Mutation(
        "unreadable-store-knows-nobody",
        "whatsapp/authors.py",
        '        raise SendDelayed("whose the message is cannot be read now", pause=TROUBLE_PAUSE) from error\n',
        "        return None\n",
        "a store that cannot be read is no proof of anything",
        UNREADABLE,
    ),
    Mutation(
        "page-is-a-bad-file",
        "delivery/file_facts.py",
        "        if _is_answer(",
        "        if False and _is_answer(",
        "what a host says in place of a file is not final",
        SAID,
    ),
    Mutation(
        "json-is-a-bad-file",
        "delivery/file_facts.py",
        '    return media.kind is not MediaKind.DOCUMENT and start.startswith(b"{")\n',
        "    return False\n",
        "what a host says in place of a file is not final",
        SAID,
    ),
    Mutation(
        "json-is-no-document",
        "delivery/file_facts.py",
        'media.kind is not MediaKind.DOCUMENT and start.startswith(b"{")',
        'start.startswith(b"{")',
        "JSON may be a document",
        PAGE,
    ),
    Mutation(
        "page-is-no-document",
        "delivery/file_facts.py",
        "return not wants_page(media)",
        "return True",
        "a page may be a document",
        PAGE,
    ),
)
