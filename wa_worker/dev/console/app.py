"""The console's page, its buttons and its stream of updates: a quart-trio app, server-rendered.

Guarded as what it is, something on a loopback port that any web page in the same browser can reach: the Host must be
ours (against DNS rebinding), a POST must come from our own page (against cross-site requests), and the pages may load
and run nothing but our files. Every text goes through templates that escape it. Forms work without the script, which
adds that nothing is ever reloaded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import jinja2
from quart import Quart, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from wa_worker.admin.answers import static_files
from wa_worker.admin.rendering import HTMX as ADMIN_HTMX
from wa_worker.admin.texts import language_of
from wa_worker.admin.texts import text as admin_text
from wa_worker.admin.words import Language
from wa_worker.dev.console.actions import Actions, Done
from wa_worker.dev.console.contents import FILE_PATH, SAMPLES_PATH
from wa_worker.dev.console.display_text import clock, plain
from wa_worker.dev.console.files import Files, Served, sample
from wa_worker.dev.console.live import ChangeCounter
from wa_worker.dev.console.page import At, Page
from wa_worker.dev.console.texts import Said, in_language
from wa_worker.dev.console.view import View
from wa_worker.dev.console.writing import EMOJIS
from wa_worker.dev.errors import CannotDoError

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

STREAMS = 16
"""Pages that are kept up to date at a time; a browser itself opens six connections to one host at most."""

LARGEST_FORM = 1024 * 1024

PARTS = ("health", "cards", "chats", "head", "messages", "composer")
"""Fields of Page, templates, and ids in the page."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would make the Origin of our own forms "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


HTMX = json.dumps(
    {
        **json.loads(ADMIN_HTMX),
        "defaultSettleDelay": 0,
        "responseHandling": [{"code": "200|409", "swap": True}, {"code": "...", "swap": False, "error": True}],
    }
)
"""htmx's settings: the admin page's, and that what could not be done is said, too."""


class Renderer:
    """Holds the templates, for one language. Undefined names are errors."""

    def __init__(self, language: Language = Language.ENGLISH) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("wa_worker.dev.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["emojis"] = EMOJIS
        self._templates.globals["htmx_config"] = HTMX
        self._templates.globals["group_word"] = partial(admin_text, language=language)
        self._templates.globals["language"] = language.value
        self._templates.globals["_"] = lambda english, *arguments: in_language(Said(english, *arguments), language)
        self._templates.filters |= {"clock": clock, "plain": plain, "t": partial(in_language, language=language)}

    def page(self, page: Page, notice: str = "") -> str:
        template = self._templates.get_template("page.html")
        return template.render(page=page, notice=notice, bad=True, events=page.at.url("/events"))

    def notice(self, text: str, *, bad: bool) -> str:
        return self._templates.get_template("notice.html").render(notice=text, bad=bad)

    def part(self, page: Page, name: str) -> str:
        return self._templates.get_template(f"{name}.html").render(page=page)


def create_app(view: View, actions: Actions, changes: ChangeCounter, files: Files, *, port: int) -> Quart:
    """`port`: where it will be served, as browsers name it."""
    app: Quart = QuartTrio("wa_worker.dev.console")
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_FORM
    renderers = {language: Renderer(language) for language in Language}
    script = static_files()["htmx.min.js"].data  # the admin page's: one copy for both
    streams = _Streams(view, renderers, changes)
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    @app.before_request
    async def guard() -> Response | None:
        reason = refusal(request.method, request.headers, hosts)
        return Response(f"Refused: {reason}.\n", 403, content_type="text/plain; charset=utf-8") if reason else None

    @app.after_request
    async def protect(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)  # a file's own policy is stricter
        response.headers.setdefault("Cache-Control", "no-store")  # a QR code is as good as a key
        return response

    @app.get("/")
    async def page() -> Response:
        language = language_of(request.accept_languages)
        return html(renderers[language].page(view.page(_at(), language)))

    @app.get(FILE_PATH)
    async def file() -> Response:
        return await sent(files.served(request.args.get("url", "")))

    @app.get(f"{SAMPLES_PATH}<name>")
    async def sample_file(name: str) -> Response:
        return await sent(sample(name))

    @app.get("/static/htmx.min.js")
    async def htmx() -> Response:
        return Response(script, content_type="text/javascript; charset=utf-8")

    @app.get("/events")
    async def events() -> Response:
        if streams.count >= STREAMS:
            return Response("Too many pages are open.\n", 503, content_type="text/plain; charset=utf-8")
        response = Response(streams.run(_at(), language_of(request.accept_languages)), content_type="text/event-stream")
        response.timeout = None
        return response

    @app.post("/do/<name>")
    async def do(name: str) -> Response:
        fields = (await request.form).to_dict()
        language = language_of(request.accept_languages)
        renderer = renderers[language]
        status, done = 200, Done("")
        try:
            done = await actions.run(name, fields)
        except CannotDoError as error:
            status, done = 409, Done(_said(error))
        came_from = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
        at = At(fields.get("instance", ""), fields.get("chat", ""), fields.get("reply", "") if status != 200 else "")
        go = (done.go or at).within(came_from)
        if "HX-Request" in request.headers:
            answer = html(renderer.notice(done.text, bad=status != 200), status)
            if done.go:
                answer.headers["HX-Redirect"] = go.url()
            return answer
        if status == 200:
            return Response("", 303, {"Location": go.url()})
        return html(renderer.page(view.page(go, language), done.text), status)

    @app.errorhandler(HTTPException)
    async def http_error(problem: HTTPException) -> Response:
        return Response(f"{problem.name}.\n", problem.code or 500, content_type="text/plain; charset=utf-8")

    return app


def refusal(method: str, headers: Headers, hosts: set[str]) -> str | None:
    """Says why a request is not taken, or None."""
    host = headers.get("Host", "").lower()
    if host not in hosts:
        return "this is not an address of the dev console"
    if method in ("GET", "HEAD"):
        return None
    origin = headers.get("Origin")
    ours = headers.get("Sec-Fetch-Site") == "same-origin" if origin is None else origin.lower() == f"http://{host}"
    return None if ours else "this did not come from a page of the dev console"


async def sent(served: Served | None) -> Response:
    """Answers with a file, or with the part of it that a player asks for."""
    if served is None:
        return Response("There is no such file.\n", 404, content_type="text/plain; charset=utf-8")
    response = Response(served.data, content_type=served.content_type, headers=served.headers)
    await response.make_conditional(request, accept_ranges=True, complete_length=len(served.data))
    return response


def _said(error: CannotDoError) -> Said:
    """Returns the reason, of which the simulated people know no languages."""
    (reason,) = error.args
    return reason if isinstance(reason, Said) else Said(str(reason))


def html(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/html; charset=utf-8")


def _at() -> At:
    return At(*(request.args.get(name, "") for name in ("instance", "chat", "reply", "q", "show")))


class _Streams:
    """Updates as server-sent events: of each page the parts that have changed, as HTML by id."""

    def __init__(self, view: View, renderers: Mapping[Language, Renderer], changes: ChangeCounter) -> None:
        self.count = 0
        self._view = view
        self._renderers = renderers
        self._changes = changes

    async def run(self, at: At, language: Language) -> AsyncIterator[bytes]:
        """Runs until the page is closed. The first update has all: things may have changed since the page was made."""
        self.count += 1
        try:
            shown: Page | None = None
            sent: dict[str, str] = {}
            seen = -1
            while True:
                seen = await self._changes.wait(seen)
                page = self._view.page(at, language)
                if page == shown:
                    continue
                shown, at = page, page.at
                rendered = {name: self._renderers[language].part(page, name) for name in PARTS}
                changed = {name: text for name, text in rendered.items() if text != sent.get(name)}
                sent = rendered
                yield f"data: {json.dumps({'events': at.url('/events'), 'html': changed})}\n\n".encode()
        finally:
            self.count -= 1
