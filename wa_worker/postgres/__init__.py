"""Speaks to the PostgreSQL database of `STATE_URL`, which several workers share.

url.py         what `STATE_URL` says, as both drivers want it: psycopg, and the one in neonize's library
fitness.py     what no worker can work with; pooler.py finds one out
connecting.py  connections and their errors
migrations/    the numbered SQL steps that make and upgrade the schema `wa`

Without that setting nothing here runs. Only connecting.py and what imports it import psycopg, which is an extra:
`pip install 'wa-worker[postgres]'`.
"""
