"""What is the same for every page: how it is rendered, forms, notices, errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from tornado.httputil import responses
from tornado.web import HTTPError

from ngshare import __version__, wire
from ngshare.errors import InvalidRequest, NgShareError, NotFound, PermissionDenied
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.browsers import version_of
from ngshare.handlers.sending import attachment
from ngshare.tables import View

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
OUTDATED = "This form is out of date: open its page again, and send it from there"
NOTICE = "ngshare-notice"  # a cookie: what the page after a form says was done
NOTICE_BYTES = 1500  # browsers and proxies drop an answer's headers that are too long
UNITS = ("KiB", "MiB", "GiB", "TiB")
ACTING_AS = "ngshare-user"  # a cookie: who one is, stand-alone

_templates = Environment(
    loader=PackageLoader("ngshare"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _template_function(function: Any) -> Any:
    _templates.globals[function.__name__] = function
    return function


def _template_filter(function: Any) -> Any:
    _templates.filters[function.__name__] = function
    return function


@_template_function
@pass_context
def url(context: Context, *path: str, **query: object) -> str:
    """A URL of ours: segments as people write them; arguments that are None are left out,
    and lists give one for each of their values."""
    where = "/".join(quote(segment, safe="") for segment in path)
    given = {name: value for name, value in query.items() if value is not None}
    return context["prefix"] + where + ("?" + urlencode(given, doseq=True) if given else "")


@_template_function
@pass_context
def static(context: Context, name: str) -> str:
    """The URL of a file that browsers may keep as long as it stays the same."""
    return f"{context['prefix']}{name}?v={context['static_versions'][name]}"


_template_function(wire.is_legal_name)


@_template_filter
def iso(at: datetime) -> str:
    """For the attribute of a time element."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@_template_filter
def timestamp(at: datetime) -> str:
    """As the API has it."""
    return wire.format_timestamp(at)


@_template_filter
def size(count: int) -> str:
    """A number of bytes as people read it: `22 bytes`, `1.5 MiB`."""
    if count < 1024:
        return f"{count} byte{'' if count == 1 else 's'}"
    power = min((count.bit_length() - 1) // 10, len(UNITS))
    return f"{count / 1024**power:.1f}".removesuffix(".0") + f" {UNITS[power - 1]}"


@_template_filter
def number(count: int) -> str:
    return f"{count:,}"


@_template_filter
def counted(count: int, one: str, many: str | None = None) -> str:
    """For example `1 file`, `2,000 files`; `many` is for plurals of other kinds."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def render_part(template: str, **values: Any) -> str:
    """A part of a page, which knows nothing but these values, the functions and the filters."""
    return _templates.get_template(template).render(**values)


class PageHandler(BaseHandler):
    """A page for people; a form is posted to the page that it is on.

    A subclass has `get`, and `act` for what its forms do.
    """

    @property
    def default_user(self) -> str:  # type: ignore[override]
        return unquote(self.get_cookie(ACTING_AS) or "user")

    # ---- answers ----

    def render_page(self, template: str, **values: Any) -> None:
        """Answer with a page.

        Args:
            template: beside what is in `values` it has `prefix`, `identity` (None if unknown),
                `notice`, `form_token` and the functions and filters above.
        """
        static_files: Mapping[str, bytes] = self.settings["static_files"]
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "same-origin")
        page = _templates.get_template(template).render(
            prefix=self.settings["prefix"],
            version=__version__,
            identity=self._caller(),
            notice=self._take_notice(),
            form_token=self.form_token(),
            hub_home=self._hub_home(),
            static_versions={name: version_of(file) for name, file in static_files.items()},
            stand_alone=self.stand_alone,
            debug=self.settings["debug_mode"],
            **values,
        )
        self.finish(page.encode())  # bytes are what the log counts

    def done(self, notice: str, *path: str) -> None:
        """Answer to a form: go to another page of ours, which says what was done.

        Args:
            path: the segments of that page's URL, as people write them.
        """
        if len(text := notice.encode()) > NOTICE_BYTES:
            notice = text[:NOTICE_BYTES].decode(errors="ignore") + " …"
        self.set_signed_cookie(
            NOTICE, notice, expires_days=None, path=self.settings["prefix"], httponly=True
        )
        where = "/".join(quote(segment, safe="") for segment in path)
        self.redirect(self.settings["prefix"] + where, status=303)

    def answer_file(self, content: bytes, media_type: str, name: str) -> None:
        """Answer with a file to be saved under a name."""
        self.set_header("Content-Type", media_type)
        self.set_header("Content-Disposition", attachment(name))
        self.finish(content)

    def _take_notice(self) -> str | None:
        value = self.get_signed_cookie(NOTICE, max_age_days=1)
        if value is None:
            return None
        self.clear_cookie(NOTICE, path=self.settings["prefix"])
        return value.decode()

    def _caller(self) -> Any:
        if not self.stand_alone:
            return self._identity
        try:
            if self.argument("user"):
                name = quote(self.identity.name, safe="")
                self.set_cookie(ACTING_AS, name, path=self.settings["prefix"])
            return self.identity
        except InvalidRequest:  # the page of this error is for nobody
            return None

    def _hub_home(self) -> str | None:
        if self.stand_alone:
            return None
        return f"{self.hub_auth.hub_host}{self.hub_auth.hub_prefix}home"

    # ---- tables ----

    def view(self, columns: Collection[str], sort: str, **filters: Collection[str]) -> View:
        """The part of a table that the arguments ask for.

        Args:
            columns: those that can be sorted by.
            sort: the one that is, unless another is asked for; backwards if a minus is before it.
            filters: what other arguments may be, if they are there.

        Raises:
            InvalidRequest: no such column, or no such page, or another value.
        """
        given = self.argument("sort")
        asked = given or sort.removeprefix("-")
        is_descending = self.argument("order") == "desc" if given else sort.startswith("-")
        if asked not in columns:
            raise InvalidRequest(f"There is no column {asked}; there are {', '.join(columns)}")
        page = self.argument("page") or "1"
        if not (page.isascii() and page.isdecimal() and len(page) < 9 and int(page) > 0):
            raise InvalidRequest("page should be a number from 1")
        chosen = {name: self.argument(name) or None for name in filters}
        for name, value in chosen.items():
            if value is not None and value not in filters[name]:
                raise InvalidRequest(f"{name} can be {', '.join(filters[name])}")
        search = self.argument("search") or ""
        return View(search, asked, is_descending, int(page), chosen)

    # ---- forms ----

    def form_token(self) -> str:
        """What forms send along as `_xsrf`."""
        if self.stand_alone or self._identity is None:
            return ""
        token = self.xsrf_token
        return token.decode() if isinstance(token, bytes) else token

    def check_xsrf_cookie(self) -> None:
        """The token of a form is in the body, which arrives after the Hub was asked; see post."""
        if self.request.method != "POST" or "_xsrf" in self.request.arguments:
            super().check_xsrf_cookie()

    async def post(self, *path: str) -> None:
        if not self.stand_alone:
            self.request.arguments["_xsrf"] = [self.raw_argument("_xsrf") or b""]
            try:
                self.check_xsrf_cookie()
            except PermissionDenied:
                raise PermissionDenied(OUTDATED) from None
        await self.act(*path)

    async def act(self, *path: Any, **_: Any) -> None:
        """Do what a form asks for, and answer with `done`."""
        raise HTTPError(405)

    @classmethod
    def allowed_verbs(cls) -> list[str]:
        verbs = super().allowed_verbs()
        has_forms = cls.act is not PageHandler.act
        return verbs if has_forms else [verb for verb in verbs if verb != "post"]

    # ---- errors ----

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """As a page, for people; programs get JSON."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            super().write_error(status_code, **kwargs)
            return
        error = kwargs.get("exc_info", (None, None, None))[1]
        message = f"ngshare has failed. Its log has more under {self.request_id}."
        if isinstance(error, NgShareError):
            status_code, message = error.status, self.explain(error)
        elif isinstance(error, HTTPError) and status_code < 500:
            message = error.log_message or responses.get(status_code, "Bad request")
        self.set_status(status_code)
        self.render_page("error.html", status=status_code, message=message, back=self.back())

    def explain(self, error: NgShareError) -> str:
        """What people read of an error."""
        return error.message

    def back(self) -> tuple[str, ...]:
        """The segments of the page that an error's page leads back to; none are the courses."""
        return ()


class NotFoundHandler(PageHandler):
    public = True

    async def prepare(self) -> None:
        self._intercept()
        self._refuse(NotFound("Not found"))

    def explain(self, error: NgShareError) -> str:
        return "There is no such page"
