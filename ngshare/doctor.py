"""`ngshare doctor`: what a user's environment knows of ngshare, and what is wrong with it.

It is also `python -m ngshare.doctor`, which loads nothing of the server.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from typing import Any

from ngshare import wire, workplace
from ngshare.client import NgShareClient
from ngshare.errors import (
    ForeignAnswer,
    HubUnavailable,
    NgShareError,
    NotConfigured,
    NotFound,
    ServerUnreachable,
    TimedOut,
    Unauthenticated,
)

CLOCK_SECONDS = 5.0  # by which clocks may differ
SHOWN_COURSES = 20
PLUGIN = "ngshare.exchange."
NO_SERVER = "ngshare.exchange.volume."  # this part of the plugin needs none
OLD_PLUGIN = "ngshare_exchange."

ADVICE: dict[type[NgShareError], str] = {
    ServerUnreachable: "Ask the admin whether ngshare runs, and whether this is its URL",
    TimedOut: "Ask the admin: ngshare is overloaded, or something on the way to it is",
    ForeignAnswer: "Ask the admin for ngshare's URL; it usually ends in /services/ngshare/",
    HubUnavailable: "Ask the admin to look at the JupyterHub and at ngshare's log",
}


class Doctor:
    """One examination; its findings are printed at once.

    Attributes:
        problems: what is wrong.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def tell(self, name: str, value: str) -> None:
        print(f"{name + ':':10} {value}")

    def advise(self, problem: str, advice: str = "") -> None:
        if problem not in self.problems:
            self.problems.append(problem)
            print(f"{'WRONG:':10} {problem}." + (advice and f" {advice}."))

    def examine(self) -> None:
        try:
            url, origin = workplace.find_server()
        except NotConfigured as error:
            self.advise(error.message)
        else:
            self.tell("URL", f"{url} (from {origin})")
            self.examine_server(url)
        self.examine_nbgrader()

    def examine_server(self, url: str) -> None:
        try:
            with workplace.connect(url, read_seconds=15.0, tries=1) as client:
                asked = datetime.now(timezone.utc)
                identity = self.ask_who(client)
                if identity is not None:
                    answered = datetime.now(timezone.utc)
                    self.examine_clock(identity["time"], asked, answered)
                    self.examine_courses(client.list_courses(), identity)
        except NgShareError as error:
            kinds = [kind for kind in ADVICE if isinstance(error, kind)]
            self.advise(error.message, ADVICE[kinds[0]] if kinds else "Ask the admin")

    def ask_who(self, client: NgShareClient) -> dict[str, Any] | None:
        """The server's answer to whoami, or None if it gives none."""
        try:
            identity = client.whoami()
        except (ForeignAnswer, NotFound):
            if not client.is_alive():
                raise
            self.advise(
                "The server is ngshare 0.6 or older",
                "Ask the admin for ngshare 1.0; ngshare_exchange 0.5.3 works with older ones",
            )
            return None
        except Unauthenticated as error:
            self.examine_token(error)
            return None
        self.tell("Server", f"ngshare {identity['version']}")
        kind = "a service" if identity["is_service"] else "a user"
        admin = ", an admin of ngshare" if identity["is_admin"] else ""
        self.tell("You are", f"{identity['username']}, {kind}{admin}")
        return identity

    def examine_token(self, error: Unauthenticated) -> None:
        if os.environ.get("JUPYTERHUB_API_TOKEN"):
            self.advise(
                f"The server does not know the token in JUPYTERHUB_API_TOKEN ({error.message})",
                "Restart your server from the Hub's control panel, or make a new token there",
            )
        else:
            self.advise(
                "There is no token: the environment variable JUPYTERHUB_API_TOKEN is not set",
                "Work in a terminal of your Jupyter server, or make a token at the Hub's control "
                "panel and set it",
            )

    def examine_clock(self, told: str, asked: datetime, answered: datetime) -> None:
        there = wire.parse_timestamp(told)
        # Where it lies between question and answer, the clocks may agree.
        ahead = min(max(there, asked), answered)
        seconds = (there - ahead).total_seconds()
        direction = "ahead of" if seconds > 0 else "behind"
        told = f"{abs(seconds):,.1f} s {direction} yours" if seconds else "the same as yours"
        self.tell("Its clock", told)
        if abs(seconds) > CLOCK_SECONDS:
            self.advise(
                f"The clocks differ by {abs(seconds):,.0f} s",
                "Submissions have the server's time; ask the admin which clock is wrong",
            )

    def examine_courses(self, courses: list[dict[str, Any]], identity: dict[str, Any]) -> None:
        for course in courses[:SHOWN_COURSES]:
            self.tell("Course", f"{course['course_id']} ({course['role']})")
        if len(courses) > SHOWN_COURSES:
            self.tell("Course", f"and {len(courses) - SHOWN_COURSES:,} more")
        if not courses and not identity["is_admin"]:
            self.advise(
                f"{identity['username']} is in no course",
                "Ask an instructor to add this name, letter by letter as above",
            )

    def examine_nbgrader(self) -> None:
        if not workplace.has_nbgrader():
            self.tell("nbgrader", "is not installed here")
            return
        try:
            nbgrader = workplace.load_nbgrader()
            classes = workplace.exchange_classes(nbgrader)
            url = workplace.exchange_url(nbgrader)
        except NotConfigured as error:
            self.advise(error.message)
            return
        others = [
            name
            for name in classes.values()
            if not name.startswith(PLUGIN) or name.startswith(NO_SERVER)
        ]
        if not others:
            self.tell("nbgrader", "uses ngshare")
            self.compare_urls(url)
        elif all(name.startswith(OLD_PLUGIN) for name in others):
            self.advise(
                "nbgrader uses the old plugin ngshare_exchange",
                "Replace ngshare_exchange by ngshare.exchange in nbgrader_config.py",
            )
        else:
            self.advise(
                f"nbgrader does not use ngshare, but {others[0]}",
                "Write into nbgrader_config.py: "
                "from ngshare.exchange import configure_exchange; configure_exchange(c)",
            )

    def compare_urls(self, configured: str) -> None:
        """What nbgrader's commands, for which its configuration counts more, have for a URL."""
        told = os.environ.get("NGSHARE_URL", "").strip()
        if told and configured and told.rstrip("/") != configured.strip().rstrip("/"):
            self.advise(
                f"nbgrader uses another server, {configured}, than other commands",
                "Remove the environment variable NGSHARE_URL, or c.Exchange.ngshare_url from "
                "nbgrader_config.py",
            )


def main() -> int:
    """Examine; the exit status is 1 if something is wrong."""
    doctor = Doctor()
    doctor.examine()
    return 1 if doctor.problems else 0


if __name__ == "__main__":
    sys.exit(main())
