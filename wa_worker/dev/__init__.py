"""What `wa-worker dev`, `wa-worker bench` and the tests need; never imported by `run`, and not in the image.

errors.py     what cannot be started or done, in words for a person
addresses.py  how an address is written for people
loopback.py   a port of 127.0.0.1 and its open connections
proxy/        the reference proxy, one far side of the worker
simulator/    the simulated WhatsApp, the other one
world/        both of them, worker processes, and people with phones
samples/      files to try things with
console/      the web page of `wa-worker dev`
command/      `wa-worker dev` itself; session.py is its task tree
bench/        the measurements of `wa-worker bench`
states.py     writes docs/states.md
"""
