"""Compares every answer that a test gets with the OpenAPI document.

So the document knows also those that no fuzzer comes upon: limits, lost files, ill Hubs.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs
import requests

from ngshare.handlers import describe

PREFIX = "/services/ngshare/"
DOCUMENT = json.loads(describe(PREFIX, "service-ngshare"))
PATHS = {
    re.compile(re.sub(r"{.+?}", "[^/]+", path.replace(".", r"\."))): verbs
    for path, verbs in DOCUMENT["paths"].items()
}


def check_conformity(response: requests.Response, stream: bool = False, **_: Any) -> None:
    """For requests, which calls it with each answer; knows nothing of URLs without a route."""
    path = re.sub(f"^({PREFIX}|/api/)", "/", response.request.path_url.partition("?")[0])
    verb = str(response.request.method).lower()
    found = [verbs[verb] for url, verbs in PATHS.items() if url.fullmatch(path) and verb in verbs]
    for operation in found:
        call = f"{operation['operationId']}: {response.status_code}"
        assert str(response.status_code) in operation["responses"], f"{call} is not documented"
        answer = resolve(operation["responses"][str(response.status_code)])
        for name, header in answer["headers"].items():
            assert name in response.headers or not resolve(header).get("required"), (call, name)
        if not stream:
            check_content(call, response, answer.get("content", {}))


def check_content(call: str, response: requests.Response, content: dict[str, Any]) -> None:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    assert media_type in content or not response.content, f"{call} is {media_type}"
    if media_type == "application/json" and response.content:
        schema = json.dumps(content[media_type]["schema"])
        error = next(validator(schema).iter_errors(response.json()), None)
        assert error is None, f"{call}: {error}"


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference in the document stands for."""
    if "$ref" not in node:
        return node
    _, part, kind, name = node["$ref"].split("/")
    return DOCUMENT[part][kind][name]


@cache
def validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**json.loads(schema), "components": DOCUMENT["components"]}
    )
