"""The way into ngshare for a browser: through the Hub's login, and with a cookie from then on."""

import base64
import binascii
import re
from collections.abc import Iterator
from html import unescape
from http.cookiejar import Cookie
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
from tornado.web import create_signed_value

from ngshare.errors import HubUnavailable
from ngshare.moves.people import ask_hub
from tests.integration.conftest import LOGIN_SITES, NewHub
from tests.integration.hub import ADMIN, MANAGER_TOKEN, PASSWORD, SERVICE_TOKEN, Hub

PAGE = {  # what a browser says when a person opens a page
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
OLD_BROWSER = dict.fromkeys(["Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site"])


class Browser:
    """A person's browser at a Hub: it keeps cookies and follows redirects."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.session = requests.Session()
        self.session.headers.update(PAGE)

    def call(
        self, method: str, path: str, headers: dict | None = None, **options: object
    ) -> requests.Response:
        """A call of ngshare, by cookie; a header that is None is left out."""
        url = f"{self.hub.ngshare_url}/{path}"
        return self.session.request(method, url, headers=headers, timeout=10, **options)

    def open(self, path: str = "") -> requests.Response:
        """Open a page of ngshare, and follow wherever that leads."""
        return self.call("GET", path)

    def glance(self, path: str = "") -> requests.Response:
        """Open a page of ngshare, but follow no redirect."""
        return self.call("GET", path, allow_redirects=False)

    def fill_in(self, login: requests.Response, name: str) -> requests.Response:
        """Send the Hub's login form."""
        assert login.url.startswith(f"{self.hub.url}hub/login?"), login.url
        [action] = re.findall(r'<form action="([^"]*/login[^"]*)"', login.text)
        [xsrf] = re.findall(r'name="_xsrf" value="([^"]+)"', login.text)
        form = {"username": name, "password": PASSWORD, "_xsrf": xsrf}
        return self.session.post(urljoin(login.url, unescape(action)), data=form, timeout=10)

    def log_in(self, name: str, path: str = "") -> requests.Response:
        """Open a page of ngshare, log in on the way, and end wherever that leads."""
        return self.fill_in(self.open(path), name)

    @property
    def cookies(self) -> list[Cookie]:
        """The cookies that are not the Hub's own."""
        return [
            cookie
            for cookie in self.session.cookies
            if not cookie.name.startswith("jupyterhub-") and not cookie.path.endswith("/hub/")
        ]

    @property
    def secrets(self) -> list[str]:
        """The values of those cookies, as a log would show them."""
        return [cookie.value.strip('"') for cookie in self.cookies]

    @property
    def xsrf(self) -> dict[str, str]:
        """The header that a script of ngshare's own pages can send."""
        [token] = [cookie.value for cookie in self.cookies if cookie.name == "_xsrf"]
        return {"X-XSRFToken": token}


@pytest.fixture(scope="module", params=LOGIN_SITES, ids=str)
def jupyterhub(request: pytest.FixtureRequest, new_hub: NewHub) -> Iterator[Hub]:
    with new_hub(request.param) as hub:
        yield hub


@pytest.fixture
def browser(jupyterhub: Hub) -> Iterator[Browser]:
    browser = Browser(jupyterhub)
    yield browser
    browser.session.close()


def words(secret: str) -> set[str]:
    """All that could be a token in a cookie's value, its base64 parts decoded."""
    texts = [secret]
    for part in re.split(r"[|:.]", secret):
        for alphabet in (b"-_", b"+/"):
            try:
                decoded = base64.b64decode(part + "==", altchars=alphabet)
            except (binascii.Error, ValueError):
                continue
            texts.append(decoded.decode("latin-1"))
    return {word for text in texts for word in re.findall(r"[\w-]{24,}|[0-9a-f]{32}", text)}


def test_a_browser_is_sent_to_the_hub_to_log_in(browser: Browser) -> None:
    answer = browser.glance()
    assert answer.status_code == 302
    target = urlsplit(answer.headers["Location"])
    assert target.path == f"{browser.hub.base_url}hub/api/oauth2/authorize"
    query = parse_qs(target.query)
    assert query["client_id"] == ["service-ngshare"]
    assert query["redirect_uri"] == [f"{browser.hub.prefix}oauth_callback"]
    assert query["state"]


def test_after_the_login_it_sees_ngshares_page(browser: Browser) -> None:
    page = browser.log_in("alice")
    assert page.status_code == 200, page.text
    assert page.url == f"{browser.hub.ngshare_url}/"
    assert page.headers["Content-Type"].startswith("text/html")
    assert "ngshare" in page.text
    assert browser.glance("courses").json() == {"success": True, "courses": []}


def test_it_lands_where_it_wanted_to_go(browser: Browser) -> None:
    answer = browser.log_in("alice", "courses")
    assert answer.url == f"{browser.hub.ngshare_url}/courses"
    assert answer.json()["courses"] == []


def test_a_browser_of_the_old_days_can_log_in_too(browser: Browser) -> None:
    for name in OLD_BROWSER:
        del browser.session.headers[name]
    assert browser.log_in("alice").url == f"{browser.hub.ngshare_url}/"


def test_a_login_that_nobody_began_is_refused(browser: Browser) -> None:
    for query in ({}, {"code": "stolen"}, {"code": "stolen", "state": "e30="}):
        answer = browser.call("GET", "oauth_callback", params=query, allow_redirects=False)
        assert 400 <= answer.status_code < 500, answer.text


def test_cookies_stay_below_ngshares_own_path(browser: Browser) -> None:
    browser.log_in("alice")
    assert {"_xsrf", "service-ngshare"} <= {cookie.name for cookie in browser.cookies}
    for cookie in browser.cookies:
        assert cookie.path == browser.hub.prefix, cookie
        assert cookie.name == "_xsrf" or cookie.has_nonstandard_attr("HttpOnly"), cookie


def test_no_cookie_shows_a_token_of_the_hub(browser: Browser) -> None:
    browser.log_in("alice")
    for secret in browser.secrets:
        assert not any(map(browser.hub.knows_token, words(secret))), secret

    # A token in a cookie that is signed only would have been found.
    signed = create_signed_value("secret", "service-ngshare", MANAGER_TOKEN).decode()
    assert any(map(browser.hub.knows_token, words(signed)))


def test_a_cookie_alone_changes_nothing(browser: Browser) -> None:
    browser.log_in(ADMIN)
    for headers in (PAGE, SCRIPT, FOREIGN_FORM, OLD_BROWSER, {"X-XSRFToken": "guessed"}):
        refused = browser.call("POST", "course/by-browser", headers)
        assert refused.status_code == 403, f"{headers}: {refused.text}"
        assert refused.json()["success"] is False
        assert browser.glance("courses").json()["courses"] == []


def test_with_the_xsrf_header_a_cookie_is_as_good_as_a_token(browser: Browser) -> None:
    browser.log_in(ADMIN)
    headers = {**SCRIPT, **browser.xsrf}
    assert browser.call("POST", "course/by-browser", headers).json() == {"success": True}
    assert browser.call("GET", "courses", headers).json()["courses"] == ["by-browser"]
    assert browser.call("DELETE", "course/by-browser", headers).json() == {"success": True}
    assert browser.call("GET", "courses", headers).json()["courses"] == []


def test_a_login_survives_a_restart_of_ngshare(browser: Browser) -> None:
    browser.log_in("alice")
    browser.hub.kill_ngshare()
    assert browser.glance().status_code == 200


def test_a_login_that_began_before_a_restart_ends_well(browser: Browser) -> None:
    login = browser.open()
    browser.hub.kill_ngshare()
    page = browser.fill_in(login, "alice")
    assert (page.status_code, page.url) == (200, f"{browser.hub.ngshare_url}/"), page.text


def test_a_program_is_told_and_not_sent_anywhere(jupyterhub: Hub) -> None:
    for method, path, accept in [
        ("GET", "", "*/*"),
        ("GET", "courses", "*/*"),
        ("GET", "courses", "application/json"),
        ("POST", "course/mine", "text/html"),
    ]:
        url, headers = f"{jupyterhub.ngshare_url}/{path}", {"Accept": accept}
        answer = requests.request(method, url, headers=headers, allow_redirects=False, timeout=10)
        assert answer.status_code == 401, f"{method} {path} {accept}: {answer.text}"
        assert answer.json()["success"] is False
        assert answer.json()["message"] == "Login required"


def test_the_log_keeps_cookies_and_codes_to_itself(browser: Browser) -> None:
    page = browser.log_in("alice")
    [callback] = [each.url for each in page.history if "/oauth_callback?" in each.url]
    codes = parse_qs(urlsplit(callback).query)["code"]

    log = browser.hub.ngshare_log()
    assert "alice" in log
    assert "Traceback" not in log
    for secret in [*browser.secrets, *codes, SERVICE_TOKEN]:
        assert secret not in log


def test_the_log_keeps_the_cookies_of_a_login_that_fails(browser: Browser) -> None:
    browser.open()
    secrets = browser.secrets
    assert secrets
    query = {"code": "stolen", "state": "of somebody else"}
    assert browser.call("GET", "oauth_callback", params=query).status_code < 500

    log = browser.hub.ngshare_log()
    for secret in secrets:
        assert secret not in log


def test_the_hub_tells_an_import_who_is_in_its_groups(
    jupyterhub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ngshare.moves.people.GROUPS_A_PAGE", 2)
    members = {"formgrade-math": ["ines"], "nbgrader-math": ["stan", "sue"], "other": ["stan"]}
    for name in ("ines", "stan", "sue"):
        user = jupyterhub.new_user(name)
    for group, names in members.items():
        for path, body in ((f"groups/{group}", {}), (f"groups/{group}/users", {"users": names})):
            assert jupyterhub.api("POST", path, json=body).ok
    api_url = f"{jupyterhub.url}hub/api"
    roster = ask_hub(api_url, MANAGER_TOKEN)
    assert {(entry.username, entry.role) for entry in roster.pop("math")} == {
        ("ines", "instructor"),
        ("stan", "student"),
        ("sue", "student"),
    }
    assert roster == {}
    with pytest.raises(HubUnavailable, match="needs the scopes list:groups and read:groups"):
        ask_hub(api_url, user)
