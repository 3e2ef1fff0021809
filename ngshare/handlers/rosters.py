"""/instructor(s) and /student(s)."""

from __future__ import annotations

from dataclasses import asdict

from ngshare import rosters
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.uploads import decode_students
from ngshare.permissions import require_instructor
from ngshare.rosters import Person


class PersonHandler(BaseHandler):
    def person(self, username: str) -> Person:
        """The person that a form describes."""
        return Person(
            username,
            self.argument("first_name"),
            self.argument("last_name"),
            self.argument("email"),
        )


class InstructorHandler(PersonHandler):
    async def get(self, course_id: str, instructor_id: str) -> None:
        person = await self.read(rosters.get_instructor, self.identity, course_id, instructor_id)
        self.answer(**asdict(person))

    async def post(self, course_id: str, instructor_id: str) -> None:
        person = self.person(instructor_id)
        await self.transact(rosters.add_instructor, self.identity, course_id, person)
        self.answer()

    async def delete(self, course_id: str, instructor_id: str) -> None:
        await self.transact(rosters.remove_instructor, self.identity, course_id, instructor_id)
        self.answer()


class InstructorListHandler(BaseHandler):
    async def get(self, course_id: str) -> None:
        people = await self.read(rosters.list_instructors, self.identity, course_id)
        self.answer(instructors=people)


class StudentHandler(PersonHandler):
    async def get(self, course_id: str, student_id: str) -> None:
        person = await self.read(rosters.get_student, self.identity, course_id, student_id)
        self.answer(**asdict(person))

    async def post(self, course_id: str, student_id: str) -> None:
        person = self.person(student_id)
        await self.transact(rosters.add_student, self.identity, course_id, person)
        self.answer()

    async def delete(self, course_id: str, student_id: str) -> None:
        await self.transact(rosters.remove_student, self.identity, course_id, student_id)
        self.answer()


class StudentListHandler(BaseHandler):
    long_bodies = True

    async def get(self, course_id: str) -> None:
        people = await self.read(rosters.list_students, self.identity, course_id)
        self.answer(students=people)

    async def post(self, course_id: str) -> None:
        await self.read(require_instructor, self.identity, course_id)
        people = await self.compute(lambda: decode_students(self.raw_argument("students")))
        refusals = await self.transact(rosters.add_students, self.identity, course_id, people)
        self.answer(
            status=[
                {"username": person.username, "success": True}
                if refusal is None
                else {"username": person.username, "success": False, "message": refusal}
                for person, refusal in zip(people, refusals, strict=True)
            ]
        )
