"""What people see in a browser: the home page, the database page, the login's end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from ngshare import __version__, courses, dump, sample
from ngshare.dump import Page
from ngshare.errors import InvalidRequest, NgShareError, NotFound, PermissionDenied
from ngshare.handlers.base import BaseHandler

ROWS_A_PAGE = 100

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_templates = Environment(
    loader=PackageLoader("ngshare"), autoescape=True, undefined=StrictUndefined
)


class PageHandler(BaseHandler):
    default_user = "user"

    def answer_page(self, template: str, **values: Any) -> None:
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        page = _templates.get_template(template)
        self.finish(
            page.render(
                prefix=self.settings["prefix"],
                version=__version__,
                identity=self.identity,
                stand_alone=self.stand_alone,
                debug=self.settings["debug_mode"],
                **values,
            )
        )


class HomeHandler(PageHandler):
    async def get(self) -> None:
        self.answer_page("home.html", courses=await self.read(courses.list_courses, self.identity))


class StaticHandler(BaseHandler):
    """The few files that pages need, read when the server starts."""

    FILES = {"favicon.ico": "image/png", "ngshare.css": "text/css"}

    async def get(self, name: str) -> None:
        if name not in self.FILES:
            raise NotFound("Not found")
        self.set_header("Content-Type", self.FILES[name])
        self.finish(self.settings["static_files"][name])


class DatabaseHandler(PageHandler):
    """0.6.0's URL for looking into the database, and for sample data while trying it."""

    async def get(self) -> None:
        action = self.argument("action")
        may_change = self.settings["debug_mode"] or self.stand_alone
        if not may_change and not (self.identity.is_admin and action == "dump"):
            raise PermissionDenied("Debug mode is off")
        if action == "dump":
            await self._dump()
        elif self.request.method == "HEAD":
            raise HTTPError(405)
        elif action == "clear":
            await self.transact(sample.clear)
            self.answer(message="done")
        elif action == "init":
            await self.transact(sample.fill)
            self.answer(message="done")
        else:
            raise InvalidRequest("action should be clear, init, or dump")

    async def _dump(self) -> None:
        names = [self.argument("table")] if self.argument("table") else list(dump.TABLES)
        page_number = self._number("page", 1)
        if self.flag("human-readable"):
            limit: int | None = self._number("limit", ROWS_A_PAGE)
        else:
            limit = self._number("limit", 0) or None
        tables = {}
        for name in names:
            if name not in dump.TABLES:
                raise NotFound(f"Table not found; there are {', '.join(dump.TABLES)}")
            offset = (page_number - 1) * (limit or 0)
            tables[name] = await self.read_long(dump.read_table, name, limit, offset)
        if self.flag("human-readable"):
            self.answer_page("dump.html", tables=tables, page_number=page_number, limit=limit)
            return
        self.set_header("Content-Type", "application/json")
        self.finish(await self.compute(_encode_tables, tables))

    def _number(self, name: str, otherwise: int) -> int:
        text = self.argument(name)
        if not text:
            return otherwise
        if not (
            text.isascii() and text.isdecimal() and len(text) < 8 and 0 < int(text) <= 1_000_000
        ):
            raise InvalidRequest(f"{name} should be a number from 1 to 1,000,000")
        return int(text)


def _encode_tables(tables: dict[str, Page]) -> bytes:
    rows = {
        name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for name, table in tables.items()
    }
    return msgspec.json.encode({"success": True, **rows})


class LoginCallbackHandler(HubOAuthCallbackHandler, BaseHandler):
    """Where the Hub sends a browser back to after its login."""

    public = True

    async def get(self) -> None:
        if self.stand_alone:
            raise NotFound("Not found")
        with suppress(NgShareError):  # whoever is logged in already is sent on by jupyterhub
            await self.authenticate()
        try:
            await HubOAuthCallbackHandler.get(self)
        except HTTPError as error:
            raise PermissionDenied(
                f"The login did not succeed ({error.log_message}). Open "
                f"{self.settings['prefix']} to try again"
            ) from None


class NotFoundHandler(BaseHandler):
    public = True

    async def prepare(self) -> None:
        self._intercept()
        self._refuse(NotFound("Not found"))
