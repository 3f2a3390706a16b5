"""The dev console: a web page on 127.0.0.1 that shows what goes on between the worker and the reference proxy.

It changes the proxy's rows and moves the simulated users; the worker learns of that as it would from any back end.

display_text.py  makes texts from outside fit to be shown
reasons.py       why a status is so and until when, in words
worker_state.py  what the worker says of itself
page.py          the values that a page consists of
files.py         files from outside: what may be shown, what may only be saved
contents.py      what a message holds besides its words
ticks.py         what became of a message that was sent
notes.py         what happened in a group
conversation.py  the messages of each chat, with what is about them
view.py          fills a page with what there is
writing.py       makes rows of the queue of what a person writes
live.py          wakes the pages when something has changed
actions.py       what the buttons do
app.py           the HTTP of it
server.py        listens
"""

from wa_worker.dev.console.server import Console, bind, open_console

__all__ = ["Console", "bind", "open_console"]
