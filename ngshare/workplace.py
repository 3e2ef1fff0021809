"""Where instructors type commands: the way to the server, and nbgrader on this machine.

nbgrader is loaded only by the functions here, when they are called.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ngshare.client import NgShareClient
from ngshare.client.location import find_url_and_origin
from ngshare.errors import LocalFileError, NotConfigured

if TYPE_CHECKING:
    from nbgrader.apps import NbGrader


def connect(url: str | None = None, **options: Any) -> NgShareClient:
    """A client for whoever has this environment.

    Somebody without a token can be a user of a stand-alone server, which believes any name.

    Args:
        url: find_server()'s if not given.
        options: see NgShareClient.

    Raises:
        NotConfigured: nothing tells where the server is.
    """
    if url is None:
        url, _ = find_server()
    if os.environ.get("JUPYTERHUB_API_TOKEN"):
        return NgShareClient(url, **options)
    return NgShareClient(url, user=user_name(), **options)


def user_name() -> str:
    """Who types here, as the Hub, or else the system, has it."""
    return os.environ.get("JUPYTERHUB_USER") or os.environ.get("USER", "user")


def find_server() -> tuple[str, str]:
    """The server's URL, and what it was taken from.

    The environment variable NGSHARE_URL counts first, then nbgrader's configuration, then what
    the Hub tells.

    Raises:
        NotConfigured: nothing tells.
    """
    if not os.environ.get("NGSHARE_URL") and has_nbgrader():
        url = exchange_url(load_nbgrader())
        if url:
            return url, "nbgrader's configuration"
    try:
        return find_url_and_origin()
    except NotConfigured as error:
        raise NotConfigured(
            f"{error.message} (or c.Exchange.ngshare_url in nbgrader_config.py)"
        ) from None


def has_nbgrader() -> bool:
    return find_spec("nbgrader") is not None


def load_nbgrader() -> NbGrader:
    """nbgrader with its configuration, as its own commands find it from this folder.

    Raises:
        NotConfigured: it is not installed, or can't read its configuration.
    """
    if not has_nbgrader():
        raise NotConfigured("nbgrader is not installed here: pip install 'ngshare[exchange]'")
    from nbgrader.apps import NbGrader

    app = NbGrader(log_level=logging.ERROR)
    app.raise_config_file_errors = True
    try:
        app.initialize([])
    except (Exception, SystemExit) as error:  # its files are programs
        raise NotConfigured(
            f"nbgrader_config.py fails with {type(error).__name__}: {error}"
        ) from error
    return app


def exchange_classes(app: NbGrader) -> dict[str, str]:
    """The full name of the class that nbgrader is to use for each part of its exchange.

    Raises:
        NotConfigured: one of them can't be imported.
    """
    return {name: f"{kind.__module__}.{kind.__name__}" for name, kind in _classes(app).items()}


def _classes(app: NbGrader) -> dict[str, type]:
    from nbgrader.exchange import ExchangeFactory

    try:
        factory = ExchangeFactory(parent=app)
        return {name: getattr(factory, name) for name in factory.class_own_traits(config=True)}
    except Exception as error:  # what importing a class can end in
        reason = error.__cause__ or error
        raise NotConfigured(
            f"The exchange that nbgrader_config.py names can't be loaded: {reason}"
        ) from error


def exchange_url(app: NbGrader) -> str:
    """What is configured as the server's URL for ngshare.exchange, or for ngshare_exchange."""
    exchange = _classes(app)["exchange"](parent=app)
    name = "ngshare_url" if exchange.has_trait("ngshare_url") else "_ngshare_url"
    return str(getattr(exchange, name, ""))


class LocalGradebook:
    """nbgrader's gradebook of the course in this folder; use it in a `with` statement.

    It has no authenticator, which would tell ngshare what it knows already.

    Raises:
        LocalFileError: it can't be opened, read or changed; so do all methods.
    """

    def __init__(self) -> None:
        app = load_nbgrader()
        from nbgrader.api import Gradebook

        # nbgrader calls the command alembic, which is beside this Python, on the path or not.
        commands = os.path.dirname(sys.executable)
        os.environ["PATH"] = os.pathsep.join([commands, os.environ.get("PATH", os.defpath)])
        with _gradebook_failures():
            self._gradebook = Gradebook(app.coursedir.db_url, app.coursedir.course_id)

    def __enter__(self) -> LocalGradebook:
        return self

    def __exit__(self, *_: object) -> None:
        self._gradebook.close()

    def put(self, student_id: str, **texts: str) -> None:
        """Add or update a student.

        Args:
            texts: first_name, last_name, email; what is empty stays as it is.
        """
        with _gradebook_failures():
            told = {name: text for name, text in texts.items() if text}
            self._gradebook.update_or_create_student(student_id, **told)

    def has_grades(self, student_id: str) -> bool | None:
        """Whether a student has submissions here; None if it does not know the student."""
        from nbgrader.api import MissingEntry

        with _gradebook_failures():
            try:
                return bool(self._gradebook.find_student(student_id).submissions)
            except MissingEntry:
                return None

    def remove(self, student_id: str) -> None:
        """Remove a student with all grades."""
        with _gradebook_failures():
            self._gradebook.remove_student(student_id)


@contextmanager
def _gradebook_failures() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # nbgrader lets those of every database through
        raise LocalFileError(f"nbgrader's gradebook can't be used: {error}") from error
