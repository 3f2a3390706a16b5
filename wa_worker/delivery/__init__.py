"""Moves messages and what became of them, between the journal, WhatsApp and the worker-proxy.

keyed_queue.py   drains rows: in order within a key, several keys at once, pauses in an outage
newcomers.py     keys that come during an outage
waiting_keys.py  keys that have nothing to do before a moment
found_rows.py    rows that a queue has looked up, until their turn
group_commit.py  commits what several tasks finished in one transaction
thread_commit.py the same for threads of the library
group_read.py    reads for several tasks in one hop
refusals.py      whether a refusal of a received message may be acted on
optional_call.py whether the proxy has a call that it need not have
unproven.py      what was accepted, until a poll shows that it was the proxy that did
inbound.py       journal to `/inbound` or `/events`; a key is a chat
file_waits.py    how long a message waits for its file
media.py         the files of received messages, from WhatsApp to the proxy's storage
media_folder.py  those files on the volume
journal_read.py  reads from the journal what nothing can go on without
marks.py         ledger to `/mark-sent` and `/mark-failed`, or `/events`; a key is a row
optional_call.py whether the proxy has a call that it need not have
receipts.py      receipts to `/message-status`, or `/events`; a key is a message and a receiver
read_marks.py    what the proxy has taken is marked as read at WhatsApp, where that is wanted
polled.py        what `/poll` listed for each instance, until the instance takes it
poll_timer.py    when an instance asks for messages next
batch.py         one batch of queued messages through the ledger, on a thread
pace.py          whether a message may go now, by PACE: the decisions, pure
pacing.py        PACE at work: the facts, and what the proxy is told
held_back.py     what PACE holds back of an instance
preparing.py     what takes time before a send: files to fetch and upload, typing
file_facts.py    what a file tells of itself: format, size, thumbnail
ogg.py           how long a voice note is, and its waveform
uncertain.py     sends that may have left, until a receipt proves it or the wait for one is over
sending.py       `/queued-messages`, or what `/poll` listed, to a batch, for one connected instance
retention.py     forgets what is settled, and what nobody decided on
"""
