"""`nbgrader collect`: submissions become folders of the instructor."""

from __future__ import annotations

import glob
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from nbgrader.exchange import abc

from ngshare import wire
from ngshare.errors import NgShareError
from ngshare.exchange.base import Exchange
from ngshare.exchange.folders import TIMESTAMP, find_folders, folder_name, new_folder
from ngshare.exchange.list import literal, matches
from ngshare.exchange.local_files import LocalFiles, copy_verified
from ngshare.exchange.many import run_all
from ngshare.exchange.submitted import find_duedate, is_wanted

Record = Mapping[str, Any]
Files = dict[str, Path]  # local files by the SHA-256 of their contents


class ExchangeCollect(Exchange, abc.ExchangeCollect):
    """Collects the latest submission of each student, or the latest before the due date.

    A folder is built beside the old one, which it then replaces. What is here already, or handed
    in by several students, is copied instead of fetched again. `check_owner` has no meaning: the
    server knows who submitted.
    """

    for_instructors = True

    def init_src(self) -> None:
        self.course_id = self.require_course()
        self.require_role(self.course_id)
        records = self._latest()
        if not records:
            self.require_released(self.course_id, self.assignment_id)
        if self.before_duedate and (duedate := self._duedate()):
            # Who has handed in nothing before the due date is collected all the same.
            records |= self._latest(before=wire.format_timestamp(duedate))
        pattern = self.coursedir.student_id
        self.records = [each for name, each in sorted(records.items()) if matches(name, pattern)]

    def _latest(self, before: str | None = None) -> dict[str, Record]:
        """One submission of each student, with its files."""
        records = self.client.list_submissions(
            self.course_id,
            self.assignment_id,
            literal(self.coursedir.student_id),
            latest=True,
            before=before,
            manifest=True,
        )
        return {record["student_id"]: record for record in records}

    def _duedate(self) -> datetime | None:
        duedate = find_duedate(self.coursedir.db_url, self.course_id, self.assignment_id)
        return duedate and duedate.replace(tzinfo=timezone.utc)

    def init_dest(self) -> None:
        """Each student has a destination: see `_dest_path`."""

    def _dest_path(self, record: Record) -> Path:
        student_id = folder_name(record["student_id"])
        directory = self.coursedir.submitted_directory
        return Path(self.coursedir.format_path(directory, student_id, self.assignment_id))

    def copy_files(self) -> None:
        what = f"of '{self.assignment_id}' for course '{self.course_id}'"
        if not self.records:
            self.log.warning("No submissions %s to collect", what)
            return
        self.log.info("Processing %d submissions %s", len(self.records), what)
        failures: dict[str, NgShareError | OSError] = {}
        wanted = []
        for record in self.records:
            try:
                if self._is_wanted(record):
                    wanted.append(record)
            except NgShareError as error:
                failures[record["student_id"]] = error
        if wanted:
            failures |= self._collect(wanted)
        self.fail_if_any(failures, "These students' submissions could not be collected")

    def _is_wanted(self, record: Record) -> bool:
        there = wire.parse_timestamp(record["timestamp"]).replace(tzinfo=None)
        name = f"{record['student_id']} {self.assignment_id}"
        return is_wanted(self, name, self._dest_path(record), there)

    def _collect(self, records: Sequence[Record]) -> dict[str, NgShareError | OSError]:
        """Collect submissions; those that failed."""
        with tempfile.TemporaryDirectory(prefix=".ngshare-", dir=self.coursedir.root) as folder:
            sources = self._fetch_shared(records, Path(folder))
            jobs = {
                each["student_id"]: partial(self._collect_one, each, sources) for each in records
            }
            return run_all(jobs, self.client.parallel, "Collecting", self.log)

    def _fetch_shared(self, records: Sequence[Record], folder: Path) -> Files:
        """What need not be fetched student by student.

        Contents that several students have are fetched once, each from the first of them, into
        the given folder.
        """
        collected = glob.escape(self.assignment_id)
        found = find_folders(self.coursedir, self.coursedir.submitted_directory, "*", collected)
        local = LocalFiles(path for _, _, path in found)
        counts = Counter(
            sha256 for each in records for sha256 in {file["sha256"] for file in each["files"]}
        )
        sources: Files = {}
        jobs: dict[str, Callable[[], None]] = {}
        for record in records:
            paths = []
            for file in record["files"]:
                if file["sha256"] in sources:
                    continue
                if path := local.find(file["sha256"], file["size"]):
                    sources[file["sha256"]] = path
                elif counts[file["sha256"]] > 1:
                    sources[file["sha256"]] = folder / str(len(jobs)) / file["path"]
                    paths.append(file["path"])
            if paths:
                target = folder / str(len(jobs))
                jobs[record["student_id"]] = partial(self._fetch, record, target, paths)
        # What fails here is fetched again, with the student whose folder it is for.
        run_all(jobs, self.client.parallel, "Fetching what students share", self.log)
        return sources

    def _fetch(self, record: Record, folder: Path, paths: Sequence[str]) -> None:
        self.client.fetch_submission(
            self.course_id,
            self.assignment_id,
            record["student_id"],
            record["timestamp"],
            folder,
            paths,
            record["files"],
        )

    def _collect_one(self, record: Record, sources: Files) -> None:
        files = [each for each in record["files"] if each["path"].split("/")[0] != TIMESTAMP]
        wire.check_paths([file["path"] for file in files])
        with new_folder(self._dest_path(record), self.coursedir.groupshared) as new:
            missing = []
            for file in files:
                source = sources.get(file["sha256"])
                if not (source and copy_verified(source, new / file["path"], file["sha256"])):
                    missing.append(file["path"])
            if missing:
                self._fetch(record, new, missing)
            (new / TIMESTAMP).write_text(record["timestamp"], encoding="utf-8")
