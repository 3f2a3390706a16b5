"""Shows a person what each instance does, on the health port, and lets them act on it. Off unless ADMIN_TOKEN is set.

words.py     reasons, steps and states in English and Portuguese; the dev console uses them, too
texts.py     the other texts of the pages, and which language a browser gets
sessions.py  who is logged in, and how often one may try
rows.py      what is shown of each instance: values, in their order; pure
report.py    the support report; pure
actions.py   what a person may do: let go, take up, retry, discard
reading.py   reads what a page shows
rendering.py the templates
answers.py   what every answer carries, and what is asked of every request
routes.py    the pages; like rendering.py it loads the web stack, so it is imported on a thread
parts.py     what it is made of
page.py      puts it all on the health port
"""
