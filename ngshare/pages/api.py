"""The API for people: every call as openapi.json has it, and a form to try those that only read.

The server does not make the call that somebody tries: the page only tells its URL, and the
browser asks for that as it asks for any page. So whoever tries a call has his own rights, no
more and no less, and no code here could get that wrong.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from ngshare import wire
from ngshare.errors import InvalidRequest, NotFound
from ngshare.pages.base import PageHandler, render_part

TITLES = {"browsers": "Login", "openapi": "This description", "old_database": "Database"}
# One is the browser's own; the other may clear the database of a site where ngshare is tried.
NOT_TRIED = ("finishLogin", "dumpDatabase")


class ApiHandler(PageHandler):
    async def get(self) -> None:
        prefix = self.settings["prefix"]
        told = _describe(self.settings["openapi"], prefix)
        parts = told.parts
        tried = self.argument("call") or None
        if tried is not None:
            call = _find(told.calls, tried)
            url = problem = None
            try:
                url = self._url_of(call)
            except InvalidRequest as error:
                problem = error.message
            part = render_part(
                "api_call.html",
                prefix=prefix,
                call=call,
                shapes=told.shapes,
                tried=tried,
                given=self._given,
                call_url=url,
                curl=self._curl(url) if url else None,
                problem=problem,
                form_token=self.form_token(),
            )
            parts = {**parts, tried: part}
        self.render_page("api.html", told=told, parts=parts)

    def _given(self, name: str) -> list[str]:
        """The values of an argument of the call that is tried: those that are not empty."""
        values = self.request.query_arguments.get(name, [])
        texts = (value.decode(errors="replace") for value in values)
        return [line for text in texts for line in text.splitlines() if line]

    def _url_of(self, call: dict[str, Any]) -> str:
        """The path and the query of a call with the arguments that were filled in.

        Raises:
            InvalidRequest: one is missing, or is an id that nothing can have.
        """
        path, query = call["path"], {}
        for parameter in call["parameters"]:
            name, values = parameter["name"], self._given(parameter["name"])
            if parameter["place"] == "path":
                if not values:
                    raise InvalidRequest(f"Please fill in {name}")
                wire.check_name(values[-1])
                path = path.replace(f"{{{name}}}", quote(values[-1], safe=""))
            elif parameter["place"] == "query" and (values or parameter["required"]):
                query[name] = values or [""]
        if self.stand_alone:
            query["user"] = [self.identity.name]
        return self.settings["prefix"] + path + ("?" + urlencode(query, True) if query else "")

    def _curl(self, url: str) -> str:
        """What to type in a notebook server's terminal for the same answer."""
        token = "" if self.stand_alone else '-H "Authorization: token $JUPYTERHUB_API_TOKEN" '
        host = f"{self.browser_protocol}://{self.request.host}"
        return f"curl {token}{shlex.quote(host + url)}"


def _find(calls: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for call in calls:
        if call["id"] == name and call["can_be_tried"]:
            return call
    raise NotFound(f"There is no call {name} that can be tried")


# ---- the document in words ----


@dataclass(frozen=True)
class _Described:
    """What the page says to everybody.

    Attributes:
        parts: of the page, by the id of the call that they describe.
        end: the last part.
    """

    description: str
    calls: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    shapes: dict[str, dict[str, Any]]
    parts: dict[str, str]
    end: str


@lru_cache(maxsize=1)
def _describe(openapi: bytes, prefix: str) -> _Described:
    """Takes so long that other calls would notice it if it were done for each page."""
    document = msgspec.json.decode(openapi)
    calls = list(_describe_calls(document))
    shapes = _describe_shapes(document)
    groups: dict[str, list[dict[str, Any]]] = {}
    for call in calls:
        groups.setdefault(call["group"], []).append(call)
    common = {"prefix": prefix, "shapes": shapes}
    parts = {
        call["id"]: render_part("api_call.html", **common, call=call, tried=None) for call in calls
    }
    end = render_part("api_shapes.html", **common, statuses=_describe_statuses(document))
    return _Described(document["info"]["description"], calls, groups, shapes, parts, end)


def _describe_calls(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each call: how it is called, who may, what it takes and what it answers."""
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            tag = operation["tags"][0]
            yield {
                "id": operation["operationId"],
                "group": TITLES.get(tag, tag.capitalize()),
                "verb": verb.upper(),
                "can_be_tried": verb == "get" and operation["operationId"] not in NOT_TRIED,
                "path": path[1:],
                "summary": operation["summary"],
                "who": operation["description"],
                "parameters": [_describe_parameter(it) for it in operation["parameters"]],
                "bodies": _describe_bodies(operation.get("requestBody", {})),
                "answers": _describe_bodies(operation["responses"].get("200", {})),
                "statuses": [int(status) for status in operation["responses"]],
            }


def _describe_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "required": parameter["required"],
        "type": _words(schema),
        "about": _note(schema, parameter["required"], parameter["in"]),
        "is_flag": schema.get("type") == "boolean",
        "is_list": schema.get("type") == "array",
        "bounds": (schema.get("minimum"), schema.get("maximum"))
        if schema.get("type") == "integer"
        else None,
    }


def _describe_bodies(message: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Media types, those with the same fields together, and the fields."""
    bodies: dict[str, tuple[list[str], list[dict[str, Any]]]] = {}
    for media_type, content in message.get("content", {}).items():
        fields = _fields(content["schema"])
        kinds, _ = bodies.setdefault(msgspec.json.encode(fields).decode(), ([], fields))
        kinds.append(media_type)
    return [(" or ".join(kinds), fields) for kinds, fields in bodies.values()]


def _fields(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": _words(field),
            "about": _note(field, name in schema.get("required", [])),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _note(schema: dict[str, Any], required: bool, place: str = "") -> str:
    """For example `query, optional. Leave contents out.`"""
    short = ", ".join(word for word in (place, "" if required else "optional") if word)
    return ". ".join(text for text in (short, schema.get("description", "")) if text)


def _describe_shapes(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the names stand for that other descriptions have in place of types."""
    return {
        name: {
            "type": _words(schema),
            "about": schema.get("description") or _example(schema),
            "fields": _fields(schema),
        }
        for name, schema in document["components"]["schemas"].items()
    }


def _example(schema: dict[str, Any]) -> str:
    return f"For example `{schema['examples'][0]}`." if "examples" in schema else ""


def _describe_statuses(document: dict[str, Any]) -> dict[int, str]:
    """By number, as calls end in them."""
    shared = document["components"]["responses"]
    meanings = {
        int(status): shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for verbs in document["paths"].values()
        for operation in verbs.values()
        for status, answer in operation["responses"].items()
    }
    return {status: meanings[status]["description"] for status in sorted(meanings)}


def _words(schema: dict[str, Any]) -> str:
    """A type; names with a capital are those of shapes."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "const" in schema:
        return msgspec.json.encode(schema["const"]).decode()
    if "enum" in schema:
        return ", ".join(schema["enum"][:-1]) + f" or {schema['enum'][-1]}"
    if "anyOf" in schema and "properties" not in schema:
        return " or ".join(map(_words, schema["anyOf"]))
    kind = schema.get("type", "")
    if isinstance(kind, list):
        return " or ".join(_words({"type": each}) for each in kind)
    if kind == "array":
        return f"list of {_words(schema['items'])}"
    names = {"string": "text", "integer": "number", "boolean": "true or false"}
    return names.get(kind, kind)
