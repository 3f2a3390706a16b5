"""The world around a worker under development or test: its process, and the people on the simulated WhatsApp.

worker_process.py    the worker as a child process
simulated_worker.py  the same on the simulated WhatsApp
people.py            phones that scan and contacts that answer
qr.py                reads a QR code from a picture, as a camera does
"""
