"""The people of a course: one by one, and as CSV files."""

from __future__ import annotations

from typing import Any

from ngshare import overviews, roster_files, roster_plans, rosters, wire
from ngshare.database.models import INSTRUCTOR, STUDENT
from ngshare.errors import Conflict, InvalidRequest, LocalFileError
from ngshare.pages.base import PageHandler
from ngshare.permissions import require_instructor
from ngshare.roster_files import COLUMNS, Roster
from ngshare.roster_plans import Plan
from ngshare.rosters import Person
from ngshare.spreadsheets import encode_file

CSV = "text/csv; charset=UTF-8"
SHOWN_ROWS = 200  # of a preview, of each kind
MAX_FILE_BYTES = 4 << 20
NO_FILE = "Choose a CSV file first"
LABELS = [("first name", "first_name"), ("last name", "last_name"), ("e-mail", "email")]


def _person(form: PageHandler, username: str) -> Person:
    """Who a form describes.

    Raises:
        InvalidRequest: nobody can have such a name.
    """
    if not username:
        raise InvalidRequest("A user name is needed")
    wire.check_name(username)
    texts = (form.argument(name) or "" for name in ("first_name", "last_name", "email"))
    return Person(username, *texts)


async def _store(
    form: PageHandler, course_id: str, role: str | None, person: Person, replace: bool
) -> None:
    store = rosters.add_instructor if role == INSTRUCTOR else rosters.add_student
    await form.transact(store, form.identity, course_id, person, replace)


class AddPersonHandler(PageHandler):
    async def get(self, course_id: str) -> None:
        await self.read(require_instructor, self.identity, course_id)
        self._show(course_id, None)

    def _show(self, course_id: str, problem: str | None) -> None:
        names = ("username", "first_name", "last_name", "email", "role")
        self.render_page(
            "person_add.html",
            course_id=course_id,
            given={name: self.argument(name) for name in names},
            problem=problem,
        )

    async def act(self, course_id: str) -> None:
        await self.read(require_instructor, self.identity, course_id)
        try:
            person = _person(self, self.argument("username") or "")
            await _store(self, course_id, self.argument("role"), person, replace=False)
        except (InvalidRequest, Conflict) as error:
            self.set_status(error.status)
            self._show(course_id, error.message)
            return
        role = "an instructor" if self.argument("role") == INSTRUCTOR else "a student"
        notice = f"{person.username} is {role} of {course_id} now."
        if warning := roster_files.warning_of_capitals([person.username]):
            notice += f" {warning}."
        self.done(notice, "pages", "course", course_id)


class PersonHandler(PageHandler):
    async def get(self, course_id: str, name: str) -> None:
        person = await self.read(overviews.get_person, self.identity, course_id, name)
        is_student = person.role == STUDENT
        self.render_page(
            "person.html",
            course_id=course_id,
            person=person,
            may_edit=is_student or self.identity.is_admin or person.name == self.identity.name,
            may_remove=is_student or self.identity.is_admin,
        )

    async def act(self, course_id: str, name: str) -> None:
        role = (await self.read(overviews.get_person, self.identity, course_id, name)).role
        action = self.argument("action")
        if action == "remove":
            remove = rosters.remove_instructor if role == INSTRUCTOR else rosters.remove_student
            await self.transact(remove, self.identity, course_id, name)
            notice = f"{name} is no longer in {course_id}; the work done so far stays."
        elif action == "save":
            await _store(self, course_id, role, _person(self, name), replace=True)
            notice = f"Saved what {course_id} has about {name}."
        else:
            raise InvalidRequest("action should be save or remove")
        self.done(notice, "pages", "course", course_id)


class RosterFileHandler(PageHandler):
    async def get(self, course_id: str) -> None:
        people = await self.read_long(rosters.list_students, self.identity, course_id)
        rows = [(p.username, p.first_name, p.last_name, p.email) for p in people]
        content = await self.compute(encode_file, COLUMNS, rows)
        self.answer_file(content, CSV, f"{course_id}-roster.csv")


class RosterPreviewHandler(PageHandler):
    """A CSV file is sent, what it would do is shown, and done when that is confirmed."""

    long_bodies = True

    async def get(self, course_id: str) -> None:
        await self.read(require_instructor, self.identity, course_id)
        self.render_page("roster_upload.html", course_id=course_id, problem=None)

    async def act(self, course_id: str) -> None:
        await self.read(require_instructor, self.identity, course_id)
        digest = self.argument("plan")
        try:
            name, content = self._file()
            # As browsers will send it from the preview's form.
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
            roster = await self.compute(roster_files.parse_csv, content, name)
        except (InvalidRequest, LocalFileError) as error:
            self.set_status(400)
            self.render_page("roster_upload.html", course_id=course_id, problem=error.message)
            return
        people = [Person(**vars(person)) for person in roster.people.values()]
        where = (self.identity, course_id, people)
        if digest is None:
            plan = await self.read_long(roster_plans.plan_students, *where)
        else:
            plan, is_done = await self.transact(roster_plans.add_planned, *where, digest)
            if is_done:
                self.done(_describe(plan, course_id), "pages", "course", course_id)
                return
        values = await self.compute(_preview, content, roster, plan)
        self.render_page(
            "roster_preview.html",
            course_id=course_id,
            plan=plan,
            has_changed=digest is not None,
            most=SHOWN_ROWS,
            **values,
        )

    def _file(self) -> tuple[str, bytes]:
        """Its name and content: as it was uploaded, or as the preview carries it."""
        # From there the end of each line comes as two characters.
        carried = self.raw_argument("roster", 2 * MAX_FILE_BYTES)
        if carried is not None:
            return "The file", carried
        for name, field in self.body.files:
            if name:
                return name, field.value(MAX_FILE_BYTES)
        raise InvalidRequest(NO_FILE)


def _preview(content: bytes, roster: Roster, plan: Plan) -> dict[str, Any]:
    """What the page of the preview shows."""
    lines = {person.username: line for line, person in roster.people.items()}
    refused = [(lines[p.username], f"{p.username}: {reason}") for p, reason in plan.refused]
    return {
        "digest": plan.digest,
        "changed": [
            (before.username, _differences(before, after)) for before, after in plan.changed
        ],
        "refused": sorted([*refused, *roster.problems.items()]),
        "warning": roster_files.warning_of_capitals(person.username for person in plan.added),
        "content": roster_files.read_text(content, "The file"),
    }


def _differences(before: Person, after: Person) -> list[tuple[str, str, str]]:
    """What changes, how it is and how it would be."""
    return [
        (label, getattr(before, name) or "nothing", getattr(after, name) or "nothing")
        for label, name in LABELS
        if (getattr(before, name) or "") != getattr(after, name)
    ]


def _describe(plan: Plan, course_id: str) -> str:
    """What was done."""
    if not plan.added and not plan.changed:
        return f"Nothing was to be changed in {course_id}."
    counts = (("added", len(plan.added)), ("changed", len(plan.changed)))
    done = [f"{verb} {_students(count)}" for verb, count in counts if count]
    text = " and ".join(done)
    return f"{text[0].upper()}{text[1:]} of {course_id}."


def _students(count: int) -> str:
    return f"{count:,} student{'' if count == 1 else 's'}"
