"""What every call takes and answers; `openapi` writes it down for programs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ngshare import dump
from ngshare.handlers.archives import TAR, ZIP
from ngshare.handlers.schemas import (
    BOOLEAN,
    BYTES,
    COUNT,
    CURSOR,
    FILES,
    FLAG,
    JSON,
    LIMIT,
    MAYBE_TEXT,
    NAME,
    NEW_PERSON,
    NUMBER,
    PATHS,
    PERSON,
    RELEASE,
    SHA256,
    TEXT,
    TIMESTAMP,
    WHEN,
    WHEN_OR_LATEST,
    Content,
    Schema,
    answer,
    array,
    described,
    form,
    record,
    ref,
    upload,
)

ADMINS = "For admins."
INSTRUCTORS = "For instructors of the course."
MEMBERS = "For members of the course."
STUDENT = "For instructors of the course, and for this student."
EVERYBODY = "For everybody who is logged in."
PUBLIC = "For everybody, without a login too."


@dataclass(frozen=True)
class Operation:
    """One verb of one URL.

    Attributes:
        id: its name for programs.
        summary: what it does.
        who: who may call it.
        success: the body of the answer then, by media type.
        query: the arguments in the URL.
        headers: those in headers.
        body: what is sent, by media type.
        needs: which arguments of the query must be there.
        fails: statuses beside those that all calls like it may end in, see openapi.
    """

    id: str
    summary: str
    who: str
    success: Content
    query: dict[str, Schema] = field(default_factory=dict)
    headers: dict[str, Schema] = field(default_factory=dict)
    body: Content = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    fails: tuple[int, ...] = ()


def _fetch(
    id: str,
    summary: str,
    who: str,
    keys: dict[str, Schema],
    query: dict[str, Schema],
    needs: tuple[str, ...] = (),
) -> Operation:
    """The call for a directory, as JSON or as an archive."""
    content = {**answer(files=FILES, **keys), TAR: {}, ZIP: {}}
    query = {**query, "list_only": described(FLAG, "Leave contents out."), "path": PATHS}
    headers = {"If-None-Match": described(TEXT, "The `ETag` of an archive.")}
    return Operation(id, summary, who, content, query, headers, needs=needs, fails=(304, 410))


DONE = answer()
DETAIL: dict[str, Schema] = {"detail": described(FLAG, "Add the list `details`.")}
PURGE: dict[str, Schema] = {"purge": described(FLAG, "Erase for good, with all work.")}
LATEST: dict[str, Schema] = {"timestamp": WHEN_OR_LATEST}
PAGE: dict[str, Schema] = {"limit": LIMIT, "cursor": CURSOR}
LIST = answer(
    {"details": array(ref("Submission"))},
    submissions=array(record(student_id=TEXT, timestamp=TIMESTAMP)),
)

OPERATIONS: dict[str, Operation] = {
    "GET openapi.json": Operation(
        "getOpenApi", "This document", EVERYBODY, {JSON: record(openapi=TEXT)}
    ),
    "GET courses": Operation(
        "listCourses",
        "The courses that the caller is in; for admins all",
        EVERYBODY,
        answer({"details": array(ref("Course"))}, courses=array(TEXT)),
        DETAIL,
    ),
    "POST course/{course_id}": Operation(
        "createCourse",
        "Create a course; a deleted one comes back with its students and their work",
        ADMINS,
        DONE,
        body=form({"instructors": array(NAME)}),
        fails=(409,),
    ),
    "DELETE course/{course_id}": Operation(
        "deleteCourse", "Take a course away", ADMINS, DONE, PURGE
    ),
    "GET instructors/{course_id}": Operation(
        "listInstructors",
        "The instructors of a course",
        MEMBERS,
        answer(instructors=array(ref("Person"))),
    ),
    "GET instructor/{course_id}/{instructor_id}": Operation(
        "getInstructor", "An instructor", MEMBERS, answer(**PERSON)
    ),
    "POST instructor/{course_id}/{instructor_id}": Operation(
        "addInstructor",
        "Appoint an instructor, or change the entry",
        "For admins, and for this instructor.",
        DONE,
        body=form(**NEW_PERSON),
    ),
    "DELETE instructor/{course_id}/{instructor_id}": Operation(
        "removeInstructor", "Remove an instructor; the work stays", ADMINS, DONE
    ),
    "GET students/{course_id}": Operation(
        "listStudents",
        "The students of a course",
        INSTRUCTORS,
        answer(students=array(ref("Person"))),
    ),
    "POST students/{course_id}": Operation(
        "addStudents",
        "Add many students, or change their entries",
        INSTRUCTORS,
        answer(status=array(record({"message": TEXT}, username=TEXT, success=BOOLEAN))),
        body=form(students={**array(record(username=NAME, **NEW_PERSON)), "minItems": 1}),
    ),
    "GET student/{course_id}/{student_id}": Operation(
        "getStudent", "A student", STUDENT, answer(**PERSON)
    ),
    "POST student/{course_id}/{student_id}": Operation(
        "addStudent",
        "Add a student, or change the entry",
        INSTRUCTORS,
        DONE,
        body=form(**NEW_PERSON),
        fails=(409,),
    ),
    "DELETE student/{course_id}/{student_id}": Operation(
        "removeStudent", "Remove a student; the work stays", INSTRUCTORS, DONE
    ),
    "GET whoami": Operation(
        "whoAmI",
        "Who calls, and what the server is like",
        EVERYBODY,
        answer(
            username=TEXT,
            is_service=BOOLEAN,
            is_admin=BOOLEAN,
            version=TEXT,
            time=TIMESTAMP,
            limits=ref("Limits"),
        ),
    ),
    "GET assignments": Operation(
        "listAllAssignments",
        "The assignments of all courses that the caller is in",
        EVERYBODY,
        answer(assignments=array(ref("Assignment")), next_cursor=MAYBE_TEXT),
        {"course_id": NAME, **PAGE},
    ),
    "GET assignments/{course_id}": Operation(
        "listAssignments",
        "The assignments of a course, in the order of release",
        MEMBERS,
        answer({"details": array(ref("Assignment"))}, assignments=array(TEXT)),
        DETAIL,
    ),
    "GET assignment/{course_id}/{assignment_id}": _fetch(
        "fetchAssignment", "The newest version of an assignment", MEMBERS, RELEASE, {}
    ),
    "POST assignment/{course_id}/{assignment_id}": Operation(
        "releaseAssignment",
        "Release an assignment; one that was taken back returns with what was submitted to it",
        INSTRUCTORS,
        answer(**RELEASE),
        body=upload(),
        fails=(409,),
    ),
    "PUT assignment/{course_id}/{assignment_id}": Operation(
        "replaceAssignment",
        "Release an assignment, or a new version of it; what was submitted stays",
        INSTRUCTORS,
        answer(**RELEASE),
        body=upload(),
        fails=(409,),
    ),
    "DELETE assignment/{course_id}/{assignment_id}": Operation(
        "unreleaseAssignment", "Take an assignment back", INSTRUCTORS, DONE, PURGE
    ),
    "GET submissions": Operation(
        "listAllSubmissions",
        "The caller's submissions, and those of all courses that the caller teaches",
        EVERYBODY,
        answer(submissions=array(ref("Submission")), next_cursor=MAYBE_TEXT),
        {
            "course_id": NAME,
            "assignment_id": NAME,
            "student_id": NAME,
            "mine": described(FLAG, "Only the caller's own."),
            "latest": described(FLAG, "Only the newest of each student to an assignment."),
            "before": described(WHEN, "Only those that are not later."),
            "manifest": described(FLAG, "With the lists of their files."),
            **PAGE,
        },
    ),
    "GET submissions/{course_id}/{assignment_id}": Operation(
        "listSubmissions", "The submissions to an assignment", INSTRUCTORS, LIST, DETAIL
    ),
    "GET submissions/{course_id}/{assignment_id}/{student_id}": Operation(
        "listStudentSubmissions", "A student's submissions to an assignment", STUDENT, LIST, DETAIL
    ),
    "POST submission/{course_id}/{assignment_id}": Operation(
        "submit",
        "Hand in; recorded once, however often it is sent with the same key",
        MEMBERS,
        answer(timestamp=TIMESTAMP, submission_id=NUMBER, sha256=SHA256, duplicate=BOOLEAN),
        headers={"Idempotency-Key": {"type": "string", "pattern": "^[!-~]{1,255}$"}},
        body=upload(),
        fails=(409, 429),
    ),
    "GET submission/{course_id}/{assignment_id}/{student_id}": _fetch(
        "fetchSubmission",
        "A submission",
        STUDENT,
        {"timestamp": TIMESTAMP, "submission_id": NUMBER, "sha256": SHA256},
        LATEST,
    ),
    "DELETE submission/{course_id}/{assignment_id}/{student_id}": Operation(
        "removeSubmission",
        "Remove a submission and its feedback from sight",
        INSTRUCTORS,
        DONE,
        {"timestamp": WHEN, "purge": described(FLAG, "Erase both for good.")},
        needs=("timestamp",),
    ),
    "GET feedback/{course_id}/{assignment_id}/{student_id}": _fetch(
        "fetchFeedback",
        "The feedback on a submission; no files while there is none",
        STUDENT,
        {"timestamp": TIMESTAMP, "sha256": SHA256},
        LATEST,
        needs=("timestamp",),
    ),
    "POST feedback/{course_id}/{assignment_id}/{student_id}": Operation(
        "releaseFeedback",
        "Give feedback on a submission; it replaces what was given before",
        INSTRUCTORS,
        DONE,
        {"timestamp": described(WHEN, "Of the submission, where the body is an archive.")},
        body=upload(timestamp=WHEN),
        fails=(409,),
    ),
    "PUT blob/{course_id}/{sha256}": Operation(
        "putBlob",
        "Send a content ahead, for a call of the same day that refers to it",
        MEMBERS,
        answer(size=COUNT),
        body={BYTES: {}},
    ),
    "GET initialize-Data6ase": Operation(
        "dumpDatabase",
        "The database in the form of ngshare 0.6; in debug mode also sample data, or none",
        "For admins; in debug mode for everybody who is logged in.",
        answer({**dict.fromkeys(dump.TABLES, array(record())), "message": TEXT}),
        {
            "action": {"enum": ["dump", "clear", "init"]},
            "human-readable": described(FLAG, "Go to the page instead."),
            "table": {"enum": list(dump.TABLES)},
            "page": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        },
        needs=("action",),
        fails=(404, 409, 507),
    ),
    "GET oauth_callback": Operation(
        "finishLogin",
        "Where the Hub sends a browser back to after its login",
        PUBLIC,
        {},
        {"code": TEXT, "state": TEXT, "error": TEXT},
        fails=(302, 403, 404, 502, 503),
    ),
    "GET healthz": Operation("checkHealth", "Whether this process is alive", PUBLIC, DONE),
    "GET readyz": Operation(
        "checkReadiness", "Whether this process can serve calls", PUBLIC, DONE, fails=(503,)
    ),
    "GET metrics": Operation(
        "getMetrics",
        "Numbers for Prometheus",
        "For admins, for the `metrics_token`, and for direct calls from the same machine.",
        {"text/plain": {}},
        fails=(401, 403, 502, 503),
    ),
}
