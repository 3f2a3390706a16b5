"""What `wa-worker dev`, `wa-worker bench` and the tests need; never imported by `run`, and not in the image.

Start with session.py, the task tree of `wa-worker dev`. proxy/ and simulator/ are the worker's two far sides and stand
on their own; console/ is the web page, bench/ the measurements, states.py writes docs/states.md.
"""
