"""`nbgrader release_assignment`, `fetch_assignment` and `submit`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from nbgrader.exchange import default
from nbgrader.utils import get_username

from ngshare.exchange.folders import TIMESTAMP, folder_name, new_folder
from ngshare.exchange.volume.base import Exchange
from ngshare.volume import INBOUND, SECRET, parse_submission


class ExchangeReleaseAssignment(default.ExchangeReleaseAssignment, Exchange):
    """Releases an assignment; what was released before goes when the new one is complete."""

    dest_path: str
    outbound_path: str
    ensure_root = Exchange.ensure_root

    def init_dest(self) -> None:
        super().init_dest()
        self.require_writable(self.outbound_path)

    def copy_files(self) -> None:
        if not (self.force and os.path.isdir(self.dest_path)):
            super().copy_files()
            return
        with new_folder(Path(self.dest_path), self.coursedir.groupshared) as new:
            self.dest_path = str(new)  # nbgrader removes it first
            super().copy_files()


class ExchangeFetchAssignment(default.ExchangeFetchAssignment, Exchange):
    """Fetches an assignment."""


class ExchangeSubmit(default.ExchangeSubmit, Exchange):
    """Hands a folder in; it is there as a whole, or not at all."""

    def init_dest(self) -> None:
        course = self.course_folder()
        named = self.coursedir.student_id
        if not self.authenticator.has_access(named, course.name):
            self.fail(f'You do not have access to the course "{course.name}"')
        if named == "*":
            named = os.environ.get("JUPYTERHUB_USER") or get_username()
        if "*" in named:
            self.fail(f"{named} is not the name of one student")
        inbound = course / INBOUND / folder_name(named)
        self.ensure_directory(str(inbound), 0o2733)
        self.require_writable(inbound)
        name = f"{named}+{self.coursedir.assignment_id}+{self.timestamp}"
        self.cache_path = Path(self.cache, course.name, name)
        self.dest_path = inbound / name
        if self.add_random_string:
            self.dest_path = inbound / f"{name}+{secrets.token_urlsafe(9)}"
        parse_submission(self.dest_path)  # what it refuses can't be collected

    def copy_files(self) -> None:
        self.init_release()
        self.check_filename_diff()
        self.log.info("Source: %s", self.src_path)
        self.log.info("Destination: %s", self.dest_path)
        secret = secrets.token_hex(64)
        with new_folder(self.cache_path) as cached, new_folder(self.dest_path) as new:
            for folder in (cached, new):
                self.copy(Path(self.src_path).resolve(), folder)
                (folder / TIMESTAMP).write_text(self.timestamp, encoding="utf-8")
                (folder / SECRET).write_text(secret, encoding="utf-8")
        course_id, assignment_id = self.coursedir.course_id, self.coursedir.assignment_id
        self.log.info("Submitted as: %s %s %s", course_id, assignment_id, self.timestamp)
