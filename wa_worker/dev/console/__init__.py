"""The dev console: a web page on 127.0.0.1 that shows what goes on between the worker and the reference proxy.

page.py and view.py say what there is to see, words.py makes it fit to be looked at, told.py knows what the worker says
of itself, live.py wakes the pages, actions.py is what the buttons do, app.py the HTTP of it, server.py listens. It
changes the proxy's rows and moves the simulated people; the worker learns of that as it would from any back end.
"""

from wa_worker.dev.console.server import Console, bind, open_console

__all__ = ["Console", "bind", "open_console"]
