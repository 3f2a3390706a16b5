"""The worker-proxy, as the worker sees it.

wire.py       its JSON to models and back
transport.py  the connections to it, kept on a stack
qr.py         a QR code as the PNG that it shows
answers.py    what an answer means: status codes, and what of it may be quoted
evidence.py   what the proxy has accepted: the witness against a refusal
client.py     one method for each call
"""
