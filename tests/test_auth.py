"""Who is calling, and what happens when the Hub can't tell."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.api import Api, Caller
from tests.fake_hub import SERVICE_TOKEN, FakeHub, LoopThread, token_of

Serve = Callable[..., Api]

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """SQLite alone: identities are not kept in the database."""
    shutil.copy(sqlite_template, tmp_path / "ngshare.db")
    return f"sqlite:///{tmp_path}/ngshare.db"


@pytest.mark.parametrize("scheme", ["token", "Token", "Bearer", "bearer"])
def test_a_token_in_the_header_tells_who_is_calling(api: Api, scheme: str) -> None:
    caller = Caller(api, {"Authorization": f"{scheme} {token_of('root')}"})
    caller.ok("GET", "courses")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "token unknown"},
        {"Authorization": "Basic cm9vdDpyb290"},
        {"Authorization": "token "},
        {"Cookie": "service-ngshare=forged"},
    ],
)
def test_a_program_without_a_valid_token_gets_401(api: Api, headers: dict[str, str]) -> None:
    response = Caller(api, headers).call("GET", "courses")
    assert response.status_code == 401
    assert response.json()["message"] == "Login required"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_in_the_url_is_not_accepted(api: Api) -> None:
    assert api.nobody.call("GET", f"courses?token={token_of('root')}").status_code == 401


def test_an_anonymous_upload_is_read_to_its_end_and_refused(api: Api) -> None:
    response = api.nobody.call("POST", "submission/c/a", data={"files": "x" * 3_000_000})
    assert response.status_code == 401


def test_the_hub_is_asked_once_while_the_answer_is_remembered(api: Api, hub: FakeHub) -> None:
    for _ in range(5):
        api.user("kevin").ok("GET", "courses")
    assert hub.asked[token_of("kevin")] == 1


def test_concurrent_calls_with_one_token_ask_the_hub_once(api: Api, hub: FakeHub) -> None:
    hub.delay_seconds = 0.3
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.user("kevin").ok("GET", "courses"), range(8)))
    assert len(answers) == 8
    assert hub.asked[token_of("kevin")] == 1


def test_a_revoked_token_is_noticed_after_the_cache_time(serve: Serve, hub: FakeHub) -> None:
    caller = serve(identity_cache_seconds=1).user("kevin")
    caller.ok("GET", "courses")
    hub.revoked.add(token_of("kevin"))
    caller.ok("GET", "courses")
    time.sleep(1.1)
    caller.fails(401, "Login required", "GET", "courses")


def test_without_a_cache_every_call_asks_the_hub(serve: Serve, hub: FakeHub) -> None:
    caller = serve(identity_cache_seconds=0).user("kevin")
    for _ in range(3):
        caller.ok("GET", "courses")
    assert hub.asked[token_of("kevin")] == 3


def test_unknown_tokens_do_not_storm_the_hub(api: Api, hub: FakeHub) -> None:
    caller = Caller(api, {"Authorization": "token unknown"})
    for _ in range(5):
        caller.fails(401, "Login required", "GET", "courses")
    assert hub.asked["unknown"] == 1


def test_a_service_named_like_an_admin_has_no_rights(api: Api, hub: FakeHub) -> None:
    hub.services.add("root")
    caller = api.user("root")
    assert caller.ok("GET", "courses")["courses"] == []
    caller.fails(403, "Permission denied", "POST", "course/c")


def test_admin_services_have_an_admins_rights(serve: Serve, hub: FakeHub) -> None:
    hub.services.add("tool")
    api = serve(admin_services=["tool"])
    api.user("tool").ok("POST", "course/c", instructors='["kevin"]')
    hub.services.clear()
    api = serve(admin_services=["tool"])
    api.user("tool").fails(403, "Permission denied", "POST", "course/d")


def test_a_service_can_not_submit_even_as_an_admin(course: Api, serve: Serve, hub: FakeHub) -> None:
    hub.services.add("tool")
    tool = serve(admin_services=["tool"]).user("tool")
    tool.fails(403, "Permission denied", "POST", "submission/course1/challenge", files="[]")


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        ([], 403),
        (["access:services!service=other"], 403),
        (["access:services!service=ngshare"], 200),
        (["access:services"], 200),
    ],
)
def test_with_require_scope_the_token_must_hold_it(
    serve: Serve, hub: FakeHub, scopes: list[str], status: int
) -> None:
    hub.scopes = scopes
    response = serve(require_scope=True).user("kevin").call("GET", "courses")
    assert response.status_code == status
    if status == 403:
        assert "access:services!service=ngshare" in response.json()["message"]


@pytest.mark.parametrize(
    ("mode", "status", "said"),
    [
        ("silent", 503, "did not answer within 0.5 seconds"),
        ("error", 502, "answered with an error"),
        ("nonsense", 502, "answered with an error"),
    ],
)
def test_a_failing_hub_is_named_and_not_taken_for_a_logged_out_user(
    serve: Serve, hub: FakeHub, mode: str, status: int, said: str
) -> None:
    api = serve(hub_timeout_seconds=0.5)
    hub.mode = mode
    started = time.monotonic()
    response = api.user("kevin").call("GET", "courses")
    assert response.status_code == status
    assert hub.api_url in response.json()["message"]
    assert said in response.json()["message"]
    assert response.headers["Retry-After"] == "5"
    assert time.monotonic() - started < 2
    hub.mode = "ok"
    api.user("kevin").ok("GET", "courses")


def test_a_hub_that_is_down_is_503(serve: Serve) -> None:
    response = serve(hub_api_url="http://127.0.0.1:9/hub/api").user("kevin").call("GET", "courses")
    assert response.status_code == 503
    assert "http://127.0.0.1:9/hub/api cannot be reached" in response.json()["message"]


def test_other_callers_go_on_while_the_hub_is_silent(serve: Serve, hub: FakeHub) -> None:
    api = serve(hub_timeout_seconds=5)
    api.user("kevin").ok("GET", "courses")
    hub.mode = "silent"
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(api.user(f"u{i}").call, "GET", "courses") for i in range(30)]
        started = time.monotonic()
        assert requests.get(api.url + "healthz", timeout=3).json() == {"success": True}
        api.user("kevin").ok("GET", "courses")
        assert time.monotonic() - started < 3
        assert not any(call.done() for call in waiting)
        assert {call.result().status_code for call in waiting} == {503}


# ---- the browser's way in ----


def follow_to_hub(api: Api, session: requests.Session) -> dict[str, str]:
    """Open the home page without a login; the arguments that the Hub's login gets."""
    response = session.get(api.url, headers=BROWSER, allow_redirects=False, timeout=5)
    assert response.status_code == 302
    target = urlsplit(response.headers["Location"])
    assert target.path == "/hub/api/oauth2/authorize"
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def come_back(api: Api, session: requests.Session, state: str, name: str) -> requests.Response:
    """The Hub sends the browser back; the fake one takes the user's name for the code."""
    return session.get(
        f"{api.url}oauth_callback",
        params={"code": name, "state": state},
        headers=BROWSER,
        allow_redirects=False,
        timeout=5,
    )


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_a_browser_is_sent_to_the_hub_and_back(api: Api, browser: requests.Session) -> None:
    arguments = follow_to_hub(api, browser)
    assert arguments["client_id"] == "service-ngshare"
    assert arguments["redirect_uri"] == "/services/ngshare/oauth_callback"
    response = come_back(api, browser, arguments["state"], "kevin")
    assert response.status_code == 302
    assert response.headers["Location"] == "/services/ngshare/"
    page = browser.get(api.url, headers=BROWSER, timeout=5)
    assert page.status_code == 200
    assert "kevin" in page.text


def test_cookies_are_for_the_prefix_and_show_no_token(api: Api, browser: requests.Session) -> None:
    come_back(api, browser, follow_to_hub(api, browser)["state"], "kevin")
    assert {cookie.name for cookie in browser.cookies} == {"service-ngshare", "_xsrf"}
    for cookie in browser.cookies:
        assert cookie.path == "/services/ngshare/"
        readable = cookie.value + str(base64.urlsafe_b64decode(cookie.value + "==="))
        assert token_of("kevin") not in readable


def test_a_login_that_began_on_one_replica_ends_on_another(
    serve: Serve, browser: requests.Session
) -> None:
    one, other = serve(), serve()
    state = follow_to_hub(one, browser)["state"]
    browser.cookies.set("unrelated", "cookie")
    response = come_back(other, browser, state, "kevin")
    assert response.status_code == 302
    assert "kevin" in browser.get(one.url, headers=BROWSER, timeout=5).text


def test_a_login_with_a_foreign_state_is_refused(api: Api, browser: requests.Session) -> None:
    follow_to_hub(api, browser)
    with requests.Session() as attacker:
        attacker.trust_env = False
        state = follow_to_hub(api, attacker)["state"]
    response = come_back(api, browser, state, "mallory")
    assert response.status_code == 403
    assert "try again" in response.json()["message"]
    assert "service-ngshare" not in browser.cookies


def test_a_hub_that_refuses_our_own_token_is_a_500_that_says_so(
    api: Api, hub: FakeHub, browser: requests.Session
) -> None:
    state = follow_to_hub(api, browser)["state"]
    hub.mode = "refuses"
    response = come_back(api, browser, state, "kevin")
    assert response.status_code == 500
    assert "refuses ngshare's own API token" in response.json()["message"]
    assert SERVICE_TOKEN not in response.text


@pytest.mark.parametrize("page", ["", "courses", "initialize-Data6ase?action=dump"])
def test_any_page_that_a_person_opens_leads_to_the_login(api: Api, page: str) -> None:
    response = api.nobody.call("GET", page, headers=BROWSER)
    assert response.status_code == 302
    assert "/hub/api/oauth2/authorize" in response.headers["Location"]


def test_a_form_that_a_person_sends_is_never_redirected(api: Api) -> None:
    assert api.nobody.call("POST", "course/c", headers=BROWSER).status_code == 401


def test_a_cookie_alone_changes_nothing(api: Api, browser: requests.Session) -> None:
    come_back(api, browser, follow_to_hub(api, browser)["state"], "root")
    refused = browser.post(f"{api.url}course/c", timeout=5)
    assert refused.status_code == 403
    assert "X-XSRFToken" in refused.json()["message"]
    headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
    assert browser.post(f"{api.url}course/c", headers=headers, timeout=5).status_code == 200
    assert api.user("root").ok("GET", "courses")["courses"] == ["c"]


def test_a_token_needs_no_xsrf_header(api: Api, browser: requests.Session) -> None:
    come_back(api, browser, follow_to_hub(api, browser)["state"], "root")
    headers = {"Authorization": f"token {token_of('root')}"}
    assert browser.post(f"{api.url}course/c", headers=headers, timeout=5).status_code == 200


def test_a_cookie_is_no_login_state(api: Api, browser: requests.Session) -> None:
    come_back(api, browser, follow_to_hub(api, browser)["state"], "kevin")
    response = come_back(api, browser, browser.cookies["service-ngshare"], "kevin")
    assert response.status_code in (302, 403)


def test_without_a_hub_there_is_no_login_to_come_back_from(serve: Serve) -> None:
    serve(stand_alone=True).nobody.fails(404, "Not found", "GET", "oauth_callback")


def test_uploads_that_are_cut_off_leave_nothing_running(api: Api, loop_thread: LoopThread) -> None:
    def count() -> int:
        return len(asyncio.all_tasks(loop_thread.loop))

    before = loop_thread.call(count)
    address = ("127.0.0.1", urlsplit(api.url).port)
    for _ in range(20):
        with socket.create_connection(address) as client:
            client.sendall(
                b"POST /services/ngshare/submission/c/a HTTP/1.1\r\nHost: x\r\n"
                b"Authorization: token " + token_of("kevin").encode() + b"\r\n"
                b"Content-Length: 1000\r\n\r\nfiles="
            )
    deadline = time.monotonic() + 5
    while loop_thread.call(count) > before + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert loop_thread.call(count) <= before + 2
