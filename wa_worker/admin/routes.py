"""The pages under `/admin`: what a browser may ask, and what it gets.

A page is for who is logged in; whatever changes something is a POST with the token of the session's own forms. Without
JavaScript everything works, too: htmx only saves reloads.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import structlog
import trio
from quart import Quart, Response, abort, request

from wa_worker.admin import rows
from wa_worker.admin.actions import Past, carry_out
from wa_worker.admin.answers import COOKIE, LARGEST_FORM, comes_from_us, headers, is_https, static_files
from wa_worker.admin.parts import Parts
from wa_worker.admin.reading import Asked, ask, ask_of, joined, running
from wa_worker.admin.rendering import Renderer
from wa_worker.admin.report import report
from wa_worker.admin.sessions import LIFE, Session, Sessions
from wa_worker.admin.texts import language_of, text
from wa_worker.admin.words import Language
from wa_worker.errors import JournalError
from wa_worker.models import InstanceId, Secret, instance_id

log = structlog.get_logger(__name__)

LIST, LOG_IN, LOG_OUT = "/admin", "/admin/log-in", "/admin/log-out"
ONE, REPORT, FILES = "/admin/instances/<name>", "/admin/instances/<name>/report", "/admin/static/<_hash>/<name>"
DO = {name: f"/admin/{name.replace('_', '-')}" for name in ("let_go", "take_up", "retry", "discard")}
"""Where the forms of each action go."""

NOTES = (*(f"done_{name}" for name in DO), "not_done")
"""What a page may be asked to say of the action before it."""

LONGEST_SEARCH = 100
"""Characters of a search that count."""

Handler = Callable[..., Awaitable[Response]]


def add_routes(app: Quart, parts: Parts, token: Secret) -> Mapping[str, int]:
    """Adds the pages, and returns the paths that take a form, with its largest size in bytes. Blocking."""
    files = static_files()
    site = _Site(parts, Sessions(token), Renderer(files))

    async def static_file(_hash: str, name: str) -> Response:
        file = files.get(name)
        if file is None or file.path != request.path:
            abort(404)
        kept = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(file.data, content_type=file.content_type, headers=kept)

    def add(path: str, method: str, view: Handler) -> None:
        app.add_url_rule(path, f"admin {method} {path}", view, methods=[method], provide_automatic_options=False)

    add(FILES, "GET", static_file)
    add(LOG_IN, "GET", site.guarded(site.log_in_form))
    add(LOG_IN, "POST", site.guarded(site.log_in))
    add(LOG_OUT, "POST", site.guarded(site.logged_in(site.log_out)))
    add(LIST, "GET", site.guarded(site.logged_in(site.overview)))
    add(f"{LIST}/", "GET", site.guarded(site.logged_in(site.overview)))
    add(ONE, "GET", site.guarded(site.logged_in(site.one)))
    add(REPORT, "GET", site.guarded(site.logged_in(site.report)))
    for name, path in DO.items():
        add(path, "POST", site.guarded(site.logged_in(functools.partial(site.act, name))))
    return dict.fromkeys((LOG_IN, LOG_OUT, *DO.values()), LARGEST_FORM)


@attrs.frozen
class _Site:
    """Answers. Its methods are views, on the Trio thread; what is read and rendered is one hop to another."""

    parts: Parts
    sessions: Sessions
    renderer: Renderer

    def guarded(self, view: Handler) -> Handler:
        """Returns a view whose answers carry the headers of all, and that takes no form of another site."""
        always = headers(show_qr=self.parts.show_qr)

        async def answer(**arguments: str) -> Response:
            if request.method == "POST" and not comes_from_us(request.headers.get("Sec-Fetch-Site")):
                response = _text("This form is of another site.\n", 403)
            else:
                response = await view(**arguments)
            response.headers.update(always)
            return response

        return answer

    def logged_in(self, view: Handler) -> Handler:
        """Returns a view for who is logged in; its forms have to be the session's own. Others are sent to log in."""

        async def answer(**arguments: str) -> Response:
            session = self.sessions.of(request.cookies.get(COOKIE))
            if session is None:
                return _to_log_in()
            if request.method == "POST" and not session.made((await request.form).get("csrf", "")):
                return _text(text("expired", _language()), 403)
            return await view(session, **arguments)

        return answer

    async def log_in_form(self) -> Response:
        return await self._log_in_page("", 200)

    async def log_in(self) -> Response:
        given, language = (await request.form).get("token", ""), _language()
        if wait := self.sessions.throttle.wait():
            seconds = int(wait) + 1
            said = text("slow_down", language).format(seconds)
            refused = await self._log_in_page(said, 429)
            refused.headers["Retry-After"] = str(seconds)
            return refused
        session = self.sessions.log_in(given.strip())
        if session is None:
            log.warning("a wrong token was given at the admin page")
            return await self._log_in_page(text("wrong_token", language), 403)
        log.info("somebody logged in at the admin page")
        answer = _see(LIST)
        secure = is_https(request.scheme, request.headers.get("X-Forwarded-Proto"))
        answer.set_cookie(
            COOKIE, session.id, max_age=int(LIFE), path=LIST, secure=secure, httponly=True, samesite="Strict"
        )
        return answer

    async def log_out(self, session: Session) -> Response:
        self.sessions.log_out(session)
        answer = _see(LOG_IN)
        answer.delete_cookie(COOKIE, path=LIST, httponly=True, samesite="Strict")
        return answer

    async def overview(self, session: Session) -> Response:
        search, group = request.args.get("q", "")[:LONGEST_SEARCH], request.args.get("show", "")
        group = group if group in list(rows.Group) else ""
        not_ready, seen = await self.parts.readiness.reasons_not_ready(), running(self.parts.registry)
        language, actions = _language(), self.parts.actions

        def render() -> str:
            asked = ask(actions, not_ready)
            found = rows.rows(joined(seen, asked.waiting), language)
            chosen = rows.chosen(found, search, group)
            return self.renderer.render(
                "list.html",
                language,
                session=session,
                rows=chosen[: rows.MOST_ROWS],
                more=max(len(chosen) - rows.MOST_ROWS, 0),
                counts=rows.counts(found),
                total=len(found),
                search=search,
                group=group,
                asked=asked,
            )

        return _html(await trio.to_thread.run_sync(render))

    async def one(self, session: Session, name: str) -> Response:
        note = request.args.get("note", "")
        return await self._one(session, name, text(note, _language()) if note in NOTES else "", 200)

    async def report(self, session: Session, name: str) -> Response:
        found = await self._look(name)
        if found is None:
            return _text(text("no_instance", _language()), 404)
        row, detail, past, asked = found
        made = report(row, detail, past.changes, asked.not_ready, time.time())
        return _text(made, 200)

    async def act(self, name: str, session: Session) -> Response:
        """Carries out an action, and shows the instance then."""
        form = await request.form
        instance = _instance(form.get("instance", ""))
        actions = self.parts.actions
        if instance is None:
            return _text(text("no_instance", _language()), 404)
        try:
            if actions is None:
                raise JournalError("; ".join(await self.parts.readiness.reasons_not_ready()))  # noqa: TRY301
            done = await carry_out(actions, name, instance, form.get("item", ""))
        except JournalError as error:
            said = text("not_now", _language()).format(error)
            return await self._one(session, instance, said, 503)
        return _see(f"{LIST}/instances/{instance}?note={f'done_{name}' if done else 'not_done'}")

    async def _log_in_page(self, said: str, status: int) -> Response:
        return _html(self.renderer.render("log_in.html", _language(), said=said), status)

    async def _one(self, session: Session, name: str, note: str, status: int) -> Response:
        found = await self._look(name)
        if found is None:
            return _text(text("no_instance", _language()), 404)
        row, detail, past, asked = found
        code = self._qr_code(row.id)
        values: dict[str, Any] = {"row": row, "detail": detail, "past": past, "asked": asked, "qr_code": code}
        page = self.renderer.render("one.html", _language(), session=session, note=note, **values)
        return _html(page, status)

    async def _look(self, name: str) -> tuple[rows.Row, str, Past, Asked] | None:
        """Finds all that is known of an instance; None: nothing is."""
        instance = _instance(name)
        if instance is None:
            return None
        not_ready, actions = await self.parts.readiness.reasons_not_ready(), self.parts.actions
        asked, past = await trio.to_thread.run_sync(ask_of, actions, not_ready, instance)
        seen = {each.id: each for each in joined(running(self.parts.registry), asked.waiting)}.get(instance)
        if seen is None and not past.changes:
            return None
        seen = seen or rows.Seen(instance)
        row = rows.row(seen, _language())
        return row, rows.detail(seen), past, asked

    def _qr_code(self, instance: InstanceId) -> str:
        actions = self.parts.actions
        return (actions.fleet.qr_code(instance) or "") if actions is not None and self.parts.show_qr else ""


def _instance(name: str) -> InstanceId | None:
    try:
        return instance_id(name)
    except ValueError:
        return None


def _language() -> Language:
    return language_of(request.accept_languages)


def _html(page: str, status: int = 200) -> Response:
    return Response(page, status, content_type="text/html; charset=utf-8")


def _text(said: str, status: int) -> Response:
    return Response(said, status, content_type="text/plain; charset=utf-8")


def _see(path: str) -> Response:
    return Response("", 303, {"Location": path})


def _to_log_in() -> Response:
    """Sends to the log-in; a piece of a page that htmx asks for has the whole page go there."""
    if request.headers.get("HX-Request"):
        return Response("", 401, {"HX-Redirect": LOG_IN})
    return _see(LOG_IN)
