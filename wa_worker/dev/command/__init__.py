"""`wa-worker dev`: the whole loop on a terminal.

session.py    the task tree of one run
narration.py  what a run shows and waits for
changes.py    what happened at the proxy since the last look, in words
terminal.py   lines, colours and QR codes on a terminal
"""
