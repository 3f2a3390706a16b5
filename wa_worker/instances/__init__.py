"""The instances: which of them run, what each is doing, and what it does next.

services.py   what all instances share
status.py     tells the proxy the latest status of one instance
registry.py   what each instance is doing, as snapshots
state.py      the one way from one state to another, and who hears of it
pauses.py     for how long an instance stays away after a move
pairing.py    one round of pairing: QR codes until one is scanned or they run out
session.py    one session of a paired instance, from its opening to its end
lifecycle.py  the loop of one instance: pairing, sessions, and the pauses between them
supervisor.py one instance among others: its nursery and its crash barrier
polling.py    asks the proxy what there is to do, in either version of the contract
discovery.py  which instances to start and to let go of, from what the proxy lists
fleet.py      starts and cancels instances
"""
