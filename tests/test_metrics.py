"""What /metrics tells, of what, and to whom."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, text

from ngshare import __version__
from ngshare.database.engine import Database
from tests.api import Api
from tests.fake_hub import FakeHub

PROXIED = {"X-Forwarded-For": "192.0.2.1"}


def samples(api: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = api.nobody.call("GET", "metrics")
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(api: Api, name: str, **labels: str) -> float:
    key = (f"ngshare_{name}", frozenset({"worker": "0", **labels}.items()))
    return samples(api).get(key, 0)


def test_calls_are_counted_by_route_method_and_status_with_times_and_bytes(course: Api) -> None:
    labels = {"route": "/students/*", "method": "GET"}
    before = value(course, "sent_bytes_total")
    sent = len(course.user("kevin").call("GET", "students/course1").content)
    course.user("eric").call("GET", "students/course1")
    course.user("kevin").call("GET", "students/nowhere")
    for status in ("200", "403", "404"):
        assert value(course, "requests_total", status=status, **labels) == 1
    assert value(course, "request_duration_seconds_count", **labels) == 3
    assert 0 < value(course, "request_duration_seconds_sum", **labels) < 30
    assert value(course, "sent_bytes_total") >= before + sent
    received = value(course, "received_bytes_total")
    form = course.user("kevin").send("POST", "submission/course1/challenge", files="x" * 5000)
    assert value(course, "received_bytes_total") == received + len(form.request.body or "")


def test_unknown_urls_ids_and_odd_verbs_make_no_new_label_values(course: Api) -> None:
    for number in range(5):
        for path in (f"unknown{number}", f"course/c{number}"):
            course.user("root").call("GET", path)
            # a connection of its own: Tornado closes it after a verb that it does not know
            requests.request(f"ODD{number}", course.url + path, timeout=5)
    found = [dict(labels) for name, labels in samples(course) if name == "ngshare_requests_total"]
    assert {labels["route"] for labels in found} >= {"unknown", "/course/*"}
    assert {labels["method"] for labels in found} <= {"GET", "POST", "other"}
    assert not any("unknown1" in str(labels) or "c1" in str(labels) for labels in found)
    assert value(course, "requests_total", route="/course/*", method="other", status="405") == 5
    assert value(course, "requests_total", route="unknown", method="GET", status="404") == 5


def test_submissions_and_bytes_stored_and_saved_are_counted(course: Api) -> None:
    stored = value(course, "blob_stored_bytes_total")
    saved = value(course, "blob_deduplicated_bytes_total")
    for files in ({"a": bytes(9000), "b": bytes(9000)}, {"a": bytes(9000), "b": bytes(9000)}):
        course.user("eric").submit("course1", "challenge", files)
    course.user("eric").fails(400, "Please supply files", "POST", "submission/course1/challenge")
    assert value(course, "submissions_total") == 2
    assert 0 < value(course, "blob_stored_bytes_total") - stored < 100
    assert value(course, "blob_deduplicated_bytes_total") - saved == 27_000


def test_questions_to_the_hub_are_counted_by_outcome(api: Api, hub: FakeHub) -> None:
    for _ in range(2):
        api.user("kevin").call("GET", "courses")
        api.nobody.call("GET", "courses", headers={"Authorization": "token x"})
    hub.mode = "error"
    api.user("eric").call("GET", "courses")
    for outcome in ("known", "unknown", "failed"):
        assert value(api, "hub_call_duration_seconds_count", outcome=outcome) == 1, outcome
    assert value(api, "identity_cache_hits_total") == 2


def test_the_databases_work_is_told(api: Api, database: Database) -> None:
    assert value(api, "database_connections_in_use") == 0
    with database.engine.connect(), database.engine.connect():
        assert value(api, "database_connections_in_use") == 2
    release = threading.Event()
    waiting = [database.readers.submit(release.wait) for _ in range(database.readers.size + 3)]
    assert value(api, "threads_busy", pool="readers") == database.readers.size
    assert value(api, "threads_queue", pool="readers") == 3
    release.set()
    for future in waiting:
        future.result()
    assert value(api, "threads_queue", pool="readers") == 0


def test_repeated_transactions_are_counted(api: Api, database: Database) -> None:
    tries = []

    def collide(connection: Connection) -> None:
        tries.append(1)
        names = "('twin'), ('twin')" if len(tries) < 3 else "('single')"
        connection.execute(text(f"INSERT INTO users (name) VALUES {names}"))

    database.write(collide)
    assert value(api, "transactions_repeated_total") == 2


def test_the_release_the_process_and_calls_in_progress_are_told(api: Api) -> None:
    assert value(api, "build_info", version=__version__) == 1
    assert value(api, "calls_in_progress") == 1
    names = {name for name, _ in samples(api)}
    assert {"process_resident_memory_bytes", "python_info"} <= names
    assert "python_gc_collections_total" in names


def test_servers_in_one_process_count_for_themselves(serve: Callable[..., Api]) -> None:
    one, other = serve(), serve()
    one.nobody.call("GET", "healthz")
    labels = {"route": "/healthz", "method": "GET", "status": "200"}
    assert value(one, "requests_total", **labels) == 1
    assert value(other, "requests_total", **labels) == 0


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_metrics_are_for_admins_the_token_and_direct_calls_from_this_machine(
    serve: Callable[..., Api], hub: FakeHub, header: str
) -> None:
    hub.services = {"grader", "robot"}
    api = serve(metrics_token="a-secret", admin_services=["grader"])

    def status(authorization: str | None) -> int:
        headers = {header: "127.0.0.1"}
        if authorization:
            headers["Authorization"] = authorization
        response = api.nobody.call("GET", "metrics", headers=headers)
        is_json = response.headers["Content-Type"] == "application/json"
        assert is_json == (response.status_code != 200)
        return response.status_code

    assert api.nobody.call("GET", "metrics").status_code == 200
    assert status(None) == 401
    assert status("Bearer a-secret") == 200
    for wrong in ("Bearer ", "Bearer a-secre", "Bearer é", "token a-secret", "Basic a-secret"):
        assert status(wrong) == 401, wrong
    for name, expected in (("root", 200), ("grader", 200), ("kevin", 403), ("robot", 403)):
        assert status(f"token token-of-{name}") == expected, name


def test_without_a_metrics_token_an_empty_one_opens_nothing(api: Api) -> None:
    for given in ("Bearer", "Bearer ", "Bearer  "):
        response = requests.get(
            api.url + "metrics", headers={**PROXIED, "Authorization": given}, timeout=5
        )
        assert response.status_code == 401
