"""`wa-worker check`: what a set-up lacks before it can work.

runner.py         the list of checks, their deadlines and the exit code
result.py         what a check found, with its remedy
configuration.py  the settings
volume.py         AUTH_DIR: its permissions, its room, its lock
journal.py        the journal: that it is one, and whole
state.py          the database of STATE_URL; state_facts.py reads what is to be judged
port.py           the port of the health endpoint
libraries.py      neonize, loaded in a process of its own
loading.py        that process
route.py          the way to WhatsApp
clock.py          this machine's clock against the others'
calling.py        one call to the worker-proxy, timed
proxy.py          the calls that only read
version.py        which version of the contract, and what it costs
writing.py        the calls that write, if an instance is named
"""
