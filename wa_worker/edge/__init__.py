"""The worker-proxy, as the worker sees it.

wire.py       its JSON to models and back
transport.py  the connections to it, kept on a stack
qr.py         a QR code as the PNG that it shows
client.py     one method for each call, and what an answer means
"""
