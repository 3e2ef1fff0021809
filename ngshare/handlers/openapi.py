"""/openapi.json: every call, described for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ngshare import __version__
from ngshare.handlers.archives import TAR
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.bodies import FORM, MULTIPART
from ngshare.handlers.operations import OPERATIONS, Operation
from ngshare.handlers.schemas import (
    JSON,
    NAME,
    SCHEMAS,
    SHA256,
    TEXT,
    Content,
    Schema,
    ref,
)

DESCRIPTION = (
    "Ids are single percent-encoded segments of the path. In forms a list is JSON text. Where GET "
    "works, HEAD does; a URL that does not know a method answers 405. Answers may have more keys "
    "than are described here."
)
STATUSES = {
    200: ("Success", "Done."),
    302: ("Redirect", "A browser goes to the Hub's login, or comes from there."),
    304: ("NotModified", "The caller has this archive already."),
    400: ("InvalidRequest", "The request can't be understood; the message says what to change."),
    401: ("Unauthenticated", "No token, or an unknown one."),
    403: ("PermissionDenied", "Not allowed."),
    404: ("NotFound", "No such URL, course, assignment, person, submission or file."),
    409: ("Conflict", "It exists already, or contradicts what is there."),
    410: ("ContentLost", "A file was lost before the site was upgraded from ngshare 0.6."),
    413: ("TooLarge", "Over a limit, which the message names."),
    429: ("TooManyRequests", "Too many submissions."),
    500: ("Failure", "A failure of ngshare's own."),
    502: ("HubFails", "The Hub answers with an error."),
    503: ("Unavailable", "The Hub or the database can't be reached; try again later."),
    507: ("StorageFull", "A disk of the server is full; nothing was changed."),
}
HEADERS: dict[str, Schema] = {
    "X-Request-Id": {
        "description": "Under which the log has the call.",
        "required": True,
        "schema": {**TEXT, "pattern": "^[0-9a-f]{16}$"},
    },
    "WWW-Authenticate": {"required": True, "schema": TEXT},
    "Location": {"required": True, "schema": TEXT},
    "ETag": {"description": "Of an archive.", "schema": TEXT},
    "Retry-After": {"description": "In seconds.", "schema": {"type": "integer", "minimum": 0}},
}
HEADERS_OF = {
    302: ["Location"],
    304: ["ETag"],
    401: ["WWW-Authenticate"],
    **{status: ["Retry-After"] for status in (429, 502, 503)},
}
Calls = Iterable[tuple[str, str, type[BaseHandler]]]


class OpenApiHandler(BaseHandler):
    async def get(self) -> None:
        self.answer_encoded(self.settings["openapi"])


def make_document(calls: Calls, prefix: str, cookie: str | None) -> bytes:
    """The document of a service that lives under prefix.

    Args:
        calls: verb, name of the route, for example `/course/*`, and handler of each.
        cookie: what a browser's login is kept in; None without a Hub.
    """
    by_route = {re.sub(r"\{\w+\}", "*", call): call for call in OPERATIONS}
    schemes, security = _security(cookie)
    paths: dict[str, dict[str, Any]] = {}
    for verb, route, handler in calls:
        call = by_route[f"{verb} {route[1:]}"]
        operation = _describe(call, OPERATIONS[call], handler.public)
        operation["tags"] = [handler.__module__.rpartition(".")[2]]
        if handler.public:
            operation["security"] = [{}, *security]
        paths.setdefault("/" + call.partition(" ")[2], {})[verb.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {"title": "ngshare", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": prefix.rstrip("/") or "/"}],
        "security": security,
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "headers": HEADERS,
            "responses": {name: _response(status) for status, (name, _) in STATUSES.items()},
            "securitySchemes": schemes,
        },
    }
    return msgspec.json.encode(document)


def _security(cookie: str | None) -> tuple[dict[str, Schema], list[dict[str, list[str]]]]:
    """The ways to say who is calling, and which of them are enough."""
    if cookie is None:
        return {"user": {"type": "apiKey", "in": "query", "name": "user"}}, [{"user": []}]
    schemes = {
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The word `token`, a space, and an API token of the Hub.",
        },
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same token."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": cookie},
        "xsrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-XSRFToken",
            "description": "The value of the cookie `_xsrf`.",
        },
    }
    return schemes, [{"token": []}, {"bearer": []}, {"cookie": [], "xsrf": []}]


def _describe(call: str, operation: Operation, public: bool) -> dict[str, Any]:
    """The OpenAPI object of one call."""
    statuses = _statuses(call, operation, public)
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.who,
        "parameters": list(_parameters(call, operation)),
        "responses": {
            str(status): {"$ref": f"#/components/responses/{STATUSES[status][0]}"}
            for status in sorted(statuses)
        },
    }
    if operation.success:
        described["responses"]["200"] = _response(200, operation.success)
    if operation.body:
        form = operation.body.get(FORM)
        described["requestBody"] = {
            "required": form is None or "required" in form,
            "content": _content(operation.body),
        }
    return described


def _statuses(call: str, operation: Operation, public: bool) -> set[int]:
    """Those that any call of this kind may end in, and its own, but for the success."""
    statuses = {400, 413, 500, *operation.fails}
    if not public:
        statuses |= {401, 403, 502, 503}
    if not public and call.startswith("GET "):
        statuses.add(302)
    if "{" in call:
        statuses.add(404)
    if not call.startswith("GET "):
        statuses.add(507)
    return statuses


def _response(status: int, content: Content | None = None) -> Schema:
    """An OpenAPI object; errors have a content of their own."""
    if status >= 400:
        content = {JSON: ref("Error")}
    names = ["X-Request-Id", *HEADERS_OF.get(status, ())]
    if content and TAR in content:
        names.append("ETag")
    return {
        "description": STATUSES[status][1],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        **({"content": _content(content)} if content else {}),
    }


def _content(schemas: Content) -> Schema:
    """OpenAPI's media types; lists in forms are JSON."""
    content: Schema = {kind: {"schema": schema} for kind, schema in schemas.items()}
    for kind in (FORM, MULTIPART):
        if kind in content:
            fields = schemas[kind]["properties"].items()
            content[kind]["encoding"] = {
                name: {"contentType": field["items"].get("contentMediaType", JSON)}
                for name, field in fields
                if field.get("type") == "array"
            }
    return content


def _parameters(call: str, operation: Operation) -> Iterator[Schema]:
    for name in re.findall(r"\{(\w+)\}", call):
        schema = SHA256 if name == "sha256" else NAME
        yield {"in": "path", "name": name, "required": True, "schema": schema}
    for place, arguments in (("query", operation.query), ("header", operation.headers)):
        for name, schema in arguments.items():
            required = name in operation.needs
            yield {"in": place, "name": name, "required": required, "schema": schema}
