"""A person's browser at a Hub."""

import re
from html import unescape
from http.cookiejar import Cookie
from typing import Protocol
from urllib.parse import urljoin

import requests

from tests.integration.hub import PASSWORD

PAGE = {  # what a browser says when a person opens a page
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
}


class Addresses(Protocol):
    """Where a Hub and its ngshare are."""

    @property
    def url(self) -> str: ...

    @property
    def ngshare_url(self) -> str: ...


class Browser:
    """A person's browser at a Hub: it keeps cookies and follows redirects."""

    def __init__(self, hub: Addresses) -> None:
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
