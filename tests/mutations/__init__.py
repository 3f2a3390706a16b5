"""Small faults that are put into the program on purpose, each with the test that must notice.

`mutation` is what one is, `table/` has them, `tables` gathers them, `tree` is the copy that they are put into, `run`
puts them in. How to use it: `python -m tests.mutations --help`.
"""
