"""Small faults that are put into the program on purpose, each with the test that must notice.

`mutation` is what one is, `table/` has them, `tables` gathers them, `run` puts them in.
How to use it: `python -m tests.mutations --help`.
"""
