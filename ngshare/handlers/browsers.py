"""What browsers need beside pages: a few files, and the login's end."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from jupyterhub._data import DATA_FILES_PATH
from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from ngshare.errors import NgShareError, NotFound, PermissionDenied
from ngshare.handlers.base import BaseHandler

OURS = Path(__file__).parent.parent / "static"
# Of the Hub's stylesheet: icons, of which our pages have none.
IMPORTS = re.compile(rb'@import"[^"]*";')
A_YEAR = "private, max-age=31536000, immutable"


def read_static_files() -> dict[str, bytes]:
    """The files by name."""
    return {
        name: IMPORTS.sub(b"", path.read_bytes()) for name, (path, _) in StaticHandler.FILES.items()
    }


@cache
def version_of(file: bytes) -> str:
    """What the URL of a static file has, so that browsers ask for another one when it changes."""
    return hashlib.sha256(file).hexdigest()[:16]


class StaticHandler(BaseHandler):
    """Files that are read when the server starts; pages name them with their version."""

    public = True  # as are the pages of errors

    FILES = {
        "favicon.ico": (OURS / "favicon.ico", "image/png"),
        "ngshare.css": (OURS / "ngshare.css", "text/css"),
        "ngshare.js": (OURS / "ngshare.js", "text/javascript"),
        # So that the pages look like those of the Hub.
        "jupyterhub.css": (Path(DATA_FILES_PATH, "static/css/style.min.css"), "text/css"),
    }

    async def get(self, name: str) -> None:
        file = self.settings["static_files"][name]
        self.set_header("Content-Type", self.FILES[name][1])
        # A page of a replica that is upgraded already may ask one that is not yet.
        if self.argument("v") == version_of(file):
            self.set_header("Cache-Control", A_YEAR)
        self.finish(file)


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
