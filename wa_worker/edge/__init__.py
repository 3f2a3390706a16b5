"""The worker-proxy, as the worker sees it.

wire.py          its JSON to models and back
queued_row.py    a row of its queue as a message to send
row_content.py   what such a row says is to be sent, for each type
row_values.py    the values in it: bounded, and of the right type
link_fetch.py    a file at a link that it names, to disk
public_address.py  which addresses such a link may lead to
inbound_body.py  a received message as its JSON
transport.py     the connections to it, kept on a stack
call.py          one call over HTTP: its deadline, and what of its answer is read
trace.py         which try of which call a request is
egress_url.py    the proxy through which an instance goes out
qr.py            a QR code as the PNG that it shows
answers.py       what an answer means: status codes, and what of it may be quoted
evidence.py      what the proxy has accepted: the witness against a refusal
version.py       which version of the contract the proxy speaks
wants.py         which kinds of received messages it wants
events.py        what it is told: each a call of version 1, or a part of `/events`
poster.py        events on their way: many in one call, or one by one
pieces.py        how much of a file is taken at once
media_upload.py  a received file on its way to the proxy's storage
client.py        one method for each call
"""
