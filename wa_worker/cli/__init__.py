"""The command line.

commands.py      `wa-worker run`, `check`, `dev`, `bench`, and the group `journal`
journal.py       `wa-worker journal`: shows, retries and discards messages
opening.py       opens the journal, in a file or in PostgreSQL
journal_text.py  the journal's messages as text for a person and as JSON
"""
