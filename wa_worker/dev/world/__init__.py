"""The world around a worker under development or test: the two far sides, its process, and people with phones.

qr.py                reads a QR code from a picture, as a camera does
worker_process.py    the worker as a child process: environment, log, end
simulated_worker.py  the same program on the simulated WhatsApp
world.py             assembles the simulated WhatsApp, the reference proxy and workers
phone_messages.py    what the phone of a contact can send
people.py            phones that scan and contacts that answer
"""
