"""The way into ngshare for a browser: through the Hub's login, and with a cookie from then on."""

import base64
import binascii
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
from tornado.web import create_signed_value

from .conftest import LOGIN_SITES, OpenHub
from .hub import ADMIN, MANAGER_TOKEN, PASSWORD, SERVICE_TOKEN, Hub

PAGE = {  # what browsers say when a person opens a page
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
}
SCRIPT = {  # and when a script in a page of the same site calls
    "Accept": "*/*",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}
FOREIGN_FORM = {**PAGE, "Sec-Fetch-Site": "cross-site"}
OLD_BROWSER = dict.fromkeys(key for key in PAGE if key.startswith("Sec-"))


@pytest.fixture(scope="module", params=LOGIN_SITES, ids=str)
def hub(request: pytest.FixtureRequest, open_hub: OpenHub) -> Hub:
    return open_hub(request.param)


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers.update(PAGE)
        yield session


def log_in(browser: requests.Session, hub: Hub, name: str, path: str = "") -> requests.Response:
    """Open a page of ngshare, fill in the Hub's login form, and end wherever that leads."""
    return fill_in(browser, hub, name, browser.get(f"{hub.ngshare_url}/{path}", timeout=10))


def fill_in(
    browser: requests.Session, hub: Hub, name: str, login: requests.Response
) -> requests.Response:
    """Send the Hub's login form, with a name and the password."""
    assert login.url.startswith(f"{hub.url}hub/login?"), login.url
    [action] = re.findall(r'<form action="([^"]*/login[^"]*)"', login.text)
    [xsrf] = re.findall(r'name="_xsrf" value="([^"]+)"', login.text)
    form = {"username": name, "password": PASSWORD, "_xsrf": xsrf}
    return browser.post(urljoin(login.url, unescape(action)), data=form, timeout=10)


def cookies_of_ngshare(browser: requests.Session) -> dict[str, str]:
    """The cookies that are not the Hub's own: name and value."""
    return {
        cookie.name: cookie.value
        for cookie in browser.cookies
        if not cookie.name.startswith("jupyterhub-") and not cookie.path.endswith("/hub/")
    }


def words(cookie: str) -> set[str]:
    """All that could be a token in a cookie's value, its base64 parts decoded."""
    texts = [cookie]
    for part in re.split(r"[|:.]", cookie.strip('"')):
        for alphabet in (b"-_", b"+/"):
            try:
                decoded = base64.b64decode(part + "==", altchars=alphabet)
            except (binascii.Error, ValueError):
                continue
            texts.append(decoded.decode("latin-1"))
    return {word for text in texts for word in re.findall(r"[\w-]{24,}|[0-9a-f]{32}", text)}


def test_a_browser_is_sent_to_the_hub_to_log_in(hub: Hub, browser: requests.Session) -> None:
    answer = browser.get(f"{hub.ngshare_url}/", allow_redirects=False, timeout=10)
    assert answer.status_code == 302
    target = urlsplit(answer.headers["Location"])
    assert target.path == f"{hub.base_url}hub/api/oauth2/authorize"
    query = parse_qs(target.query)
    assert query["client_id"] == ["service-ngshare"]
    assert query["redirect_uri"] == [f"{hub.prefix}oauth_callback"]
    assert query["state"]


def test_after_the_login_it_sees_ngshares_page(hub: Hub, browser: requests.Session) -> None:
    page = log_in(browser, hub, "alice")
    assert page.status_code == 200, page.text
    assert page.url == f"{hub.ngshare_url}/"
    assert page.headers["Content-Type"].startswith("text/html")
    assert "ngshare" in page.text

    courses = browser.get(f"{hub.ngshare_url}/courses", timeout=10)
    assert courses.json() == {"success": True, "courses": []}


def test_it_lands_where_it_wanted_to_go(hub: Hub, browser: requests.Session) -> None:
    answer = log_in(browser, hub, "alice", "courses")
    assert answer.url == f"{hub.ngshare_url}/courses"
    assert answer.json()["courses"] == []


def test_a_wrong_password_leads_nowhere(hub: Hub, browser: requests.Session) -> None:
    browser.get(f"{hub.ngshare_url}/", timeout=10)
    form = {"username": "alice", "password": "let me in"}
    browser.post(f"{hub.url}hub/login", data=form, timeout=10)
    answer = browser.get(f"{hub.ngshare_url}/", allow_redirects=False, timeout=10)
    assert answer.status_code == 302


def test_a_login_that_nobody_began_is_refused(hub: Hub, browser: requests.Session) -> None:
    callback = f"{hub.ngshare_url}/oauth_callback"
    for query in ({}, {"code": "stolen"}, {"code": "stolen", "state": "e30="}):
        answer = browser.get(callback, params=query, allow_redirects=False, timeout=10)
        assert 400 <= answer.status_code < 500, answer.text


def test_cookies_stay_below_ngshares_own_path(hub: Hub, browser: requests.Session) -> None:
    log_in(browser, hub, "alice")
    names = cookies_of_ngshare(browser)
    assert "_xsrf" in names
    assert len(names) > 1
    for cookie in browser.cookies:
        if cookie.name in names and not cookie.path.endswith("/hub/"):
            assert cookie.path == hub.prefix, cookie
            assert cookie.name == "_xsrf" or cookie.has_nonstandard_attr("HttpOnly"), cookie


def test_no_cookie_shows_a_token_of_the_hub(hub: Hub, browser: requests.Session) -> None:
    log_in(browser, hub, "alice")
    for name, value in cookies_of_ngshare(browser).items():
        shown = [word for word in words(value) if hub.knows_token(word)]
        assert shown == [], name

    # Such a token would have been found.
    signed = create_signed_value("secret", "service-ngshare", MANAGER_TOKEN).decode()
    assert [word for word in words(signed) if hub.knows_token(word)] == [MANAGER_TOKEN]


def test_a_cookie_alone_changes_nothing(hub: Hub, browser: requests.Session) -> None:
    log_in(browser, hub, ADMIN)
    url = f"{hub.ngshare_url}/course/by-browser"
    xsrf = {"X-XSRFToken": cookies_of_ngshare(browser)["_xsrf"]}

    for headers in (PAGE, SCRIPT, FOREIGN_FORM, OLD_BROWSER, {"X-XSRFToken": "guessed"}):
        refused = browser.post(url, headers=headers, timeout=10)
        assert refused.status_code == 403, refused.text
        assert refused.json()["success"] is False
        assert browser.get(f"{hub.ngshare_url}/courses", timeout=10).json()["courses"] == []

    accepted = browser.post(url, headers={**SCRIPT, **xsrf}, timeout=10)
    assert accepted.json() == {"success": True}
    answer = browser.get(f"{hub.ngshare_url}/courses", headers={**SCRIPT, **xsrf}, timeout=10)
    assert answer.json()["courses"] == ["by-browser"]
    answer = browser.delete(url, headers={**SCRIPT, **xsrf}, timeout=10)
    assert answer.json() == {"success": True}


def test_a_login_survives_a_restart_of_ngshare(hub: Hub, browser: requests.Session) -> None:
    log_in(browser, hub, "alice")
    hub.kill_ngshare()
    page = browser.get(f"{hub.ngshare_url}/", allow_redirects=False, timeout=10)
    assert page.status_code == 200


def test_a_login_that_began_before_a_restart_ends_well(hub: Hub, browser: requests.Session) -> None:
    begun = browser.get(f"{hub.ngshare_url}/", allow_redirects=False, timeout=10)
    hub.kill_ngshare()
    login = browser.get(urljoin(hub.url, begun.headers["Location"]), timeout=10)
    page = fill_in(browser, hub, "alice", login)
    assert (page.status_code, page.url) == (200, f"{hub.ngshare_url}/"), page.text


def test_a_program_is_told_and_not_sent_anywhere(hub: Hub) -> None:
    for method, accept in [("GET", "*/*"), ("GET", "application/json"), ("POST", "text/html")]:
        answer = requests.request(
            method,
            f"{hub.ngshare_url}/course/mine" if method == "POST" else f"{hub.ngshare_url}/courses",
            headers={"Accept": accept},
            allow_redirects=False,
            timeout=10,
        )
        assert answer.status_code == 401, f"{method} {accept}: {answer.text}"
        assert answer.json()["success"] is False
        assert answer.json()["message"] == "Login required"


def test_the_log_keeps_cookies_and_codes_to_itself(hub: Hub, browser: requests.Session) -> None:
    page = log_in(browser, hub, "alice")
    [callback] = [each.url for each in page.history if "/oauth_callback?" in each.url]
    codes = parse_qs(urlsplit(callback).query)["code"]
    secrets = [*cookies_of_ngshare(browser).values(), *codes, SERVICE_TOKEN]
    log = hub.ngshare_log()
    assert "alice" in log
    assert "Traceback" not in log
    assert [secret for secret in secrets if secret in log] == []
