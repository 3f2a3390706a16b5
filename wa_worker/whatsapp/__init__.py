"""WhatsApp, as the worker sees it: sessions and pairings. The only package that imports neonize.

neonize takes half a second to import, so app/work.py calls `load()`, on a thread, before it imports what needs neonize.

libmagic.py       finds libmagic before neonize asks for it
kept_out.py       what neonize imports and the worker does not use: not imported
native_output.py  what the native library prints, as lines of the log
gate.py           the start gate: starts and stops of sessions are exclusive
probe.py          whether WhatsApp can be reached at all: a TCP connection before each costly native connect
egress.py         through which proxy each instance goes out
egress_memory.py  where that is remembered: in files
egress_rows.py    or in PostgreSQL
egress_probe.py   whether such a proxy lets it through
socks.py          connections through a socks5 proxy
environment_proxy.py which proxy the environment names
socket_gate/      nothing passes when the lease has run out
routes.py         the ways out of all instances
client.py         neonize's client on one quiet thread; pinned to the version it was read from
parsing.py        the library's protobufs from their bytes, with every text in them a text
events.py         the library's events: code, name, handler
loop_end.py       what it means that the library's loop ended by itself
identity.py       whose session it is, and the addresses of the people in a message
kinds/            what a message is, and all that it says: a module for each kind of content
incoming.py       an event of the library as the model for `/inbound`
receipts.py       a receipt event as the model
placeholders.py   messages that come without their content: which of them stay so
media_reference.py where the file of a message is
media_crypto.py   decrypts a received file piece by piece
media_host.py     WhatsApp's media host: gets a file by its path
group_changes.py  what changed in a group
group_info.py     what WhatsApp says of a group when it is asked
group_subjects.py what groups are called
timers.py         what a message says of its chat's timer
outgoing/         a message to send as protobuf
authors.py        who wrote the message that another is about
unfinished.py     which message the library is in the middle of when its connection ends
uploads.py        files to WhatsApp's media host, one at a time
quiet_sockets.py  cuts the connection of an upload that hangs
registration.py   under which JID the account of a number is registered
restriction.py    whether WhatsApp lets the account write first to people, as its own sends tell
send_errors.py    what the library's error texts mean for a send
sqlite.py         reads whatsmeow's files with its own SQLite
store.py          what the keys of a session are kept in, whatever that is
folder_store.py   an instance's folder: paths, is it paired, archive
schema_store.py   an instance's schema in PostgreSQL, the same
store_reader.py   reads such schemas, over one connection for all
store_watch.py    trouble with a store, by the library's log: the session's line is cut at once
message_secrets.py the id of a send whose outcome nobody knows, and who wrote a message, from whatsmeow's store
poll_votes.py     what was chosen in a vote
send_tracking.py  what a session finds out of a send that failed
receiving.py      a received message, from its bytes to the journal
taking.py         what a session hears of messages, calls, groups and receipts, to the journal
spool.py          what the journal in PostgreSQL does not take now: kept on the volume
spool_commits.py  and committed when it can be
native_session.py a session's native thread: how it starts and is taken down
session_sender.py the sends of one session: to which JID, with which timer
session.py        the bridge between a session's threads and Trio
pairing_events.py what a pairing says to its instance
pairing_host.py   the child process that pairs
host_environment.py what such a process gets of the environment
host_process.py   the parent's side of one such process
pairing.py        all such processes, and whose turn it is
bridge.py         all of it as one object for the instances
"""

from __future__ import annotations

import wa_worker.whatsapp.libmagic  # noqa: F401 - before anything here imports neonize


def load() -> None:
    """Imports neonize and all that needs it. Blocks for half a second; raises StartupError if it cannot be loaded."""
    from wa_worker.errors import StartupError
    from wa_worker.whatsapp.kept_out import kept_out

    try:
        with kept_out():
            import wa_worker.whatsapp.bridge  # noqa: F401
    except (ImportError, OSError) as error:
        raise StartupError(
            f"neonize cannot be loaded: {error}. It needs libmagic (pip install pylibmagic, or apt install libmagic1) "
            "and a platform it has a wheel for."
        ) from error
