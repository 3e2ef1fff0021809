"""The route table: one line a URL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ngshare.handlers import (
    assignments,
    blobs,
    browsers,
    courses,
    feedback,
    health,
    listings,
    metrics,
    openapi,
    rosters,
    submissions,
)
from ngshare.pages import (
    admin,
    admin_audit,
    admin_people,
    api,
    assignment,
    assignment_files,
    course,
    database,
    downloads,
    home,
    old_database,
    people,
    student,
)

ONE = "([^/]+)"
TWO = f"{ONE}/{ONE}"
THREE = f"{TWO}/{ONE}"

# Below the prefix. An id is one percent-encoded segment. The API, as openapi.json describes it:
ROUTES: list[tuple[str, Any]] = [
    (r"openapi\.json", openapi.OpenApiHandler),
    ("courses", courses.CourseListHandler),
    (f"course/{ONE}", courses.CourseHandler),
    (f"instructors/{ONE}", rosters.InstructorListHandler),
    (f"instructor/{TWO}", rosters.InstructorHandler),
    (f"students/{ONE}", rosters.StudentListHandler),
    (f"student/{TWO}", rosters.StudentHandler),
    ("whoami", listings.WhoAmIHandler),
    ("assignments", listings.AllAssignmentsHandler),
    (f"assignments/{ONE}", assignments.AssignmentListHandler),
    (f"assignment/{TWO}", assignments.AssignmentHandler),
    ("submissions", listings.AllSubmissionsHandler),
    (f"submissions/{TWO}", submissions.SubmissionListHandler),
    (f"submissions/{THREE}", submissions.StudentSubmissionListHandler),
    (f"submission/{TWO}", submissions.SubmitHandler),
    (f"submission/{THREE}", submissions.SubmissionHandler),
    (f"feedback/{THREE}", feedback.FeedbackHandler),
    (f"blob/{TWO}", blobs.BlobHandler),
    ("initialize-Data6ase", old_database.OldDatabaseHandler),
    ("oauth_callback", browsers.LoginCallbackHandler),
    ("healthz", health.HealthHandler),
    ("readyz", health.ReadyHandler),
    ("metrics", metrics.MetricsHandler),
]

# And what people see.
PAGES: list[tuple[str, Any]] = [
    ("", home.HomeHandler),
    (f"pages/course/{ONE}", course.CourseHandler),
    (f"pages/course/{ONE}/people/add", people.AddPersonHandler),
    (f"pages/course/{ONE}/people/preview", people.RosterPreviewHandler),
    (rf"pages/course/{ONE}/people/roster\.csv", people.RosterFileHandler),
    (f"pages/course/{ONE}/person/{ONE}", people.PersonHandler),
    (f"pages/assignment/{TWO}", assignment.AssignmentHandler),
    (f"pages/assignment/{TWO}/versions", assignment.VersionsHandler),
    (rf"pages/assignment/{TWO}/students\.csv", assignment_files.ProgressFileHandler),
    (rf"pages/assignment/{TWO}/submissions\.zip", assignment_files.AllSubmissionsZipHandler),
    (f"pages/assignment/{TWO}/download", downloads.AssignmentZipHandler),
    (f"pages/submit/{TWO}", student.SubmitHandler),
    (f"pages/submission/{THREE}", student.SubmissionsHandler),
    (f"pages/submission/{THREE}/download", downloads.SubmissionZipHandler),
    (f"pages/feedback/{THREE}", student.FeedbackHandler),
    (f"pages/feedback/{THREE}/download", downloads.FeedbackZipHandler),
    (f"pages/feedback/{THREE}/view", downloads.FeedbackFileHandler),
    ("pages/api", api.ApiHandler),
    ("pages/database", database.DatabaseHandler),
    (f"pages/database/{ONE}", database.TableHandler),
    ("pages/admin", admin.CoursesHandler),
    (f"pages/admin/course/{ONE}", admin.CourseHandler),
    ("pages/admin/people", admin_people.PeopleHandler),
    (f"pages/admin/people/{ONE}", admin_people.PersonHandler),
    (f"pages/admin/people/{ONE}/merge", admin_people.MergerHandler),
    ("pages/admin/person", admin_people.OldNameHandler),
    ("pages/admin/storage", admin.StorageHandler),
    ("pages/admin/health", admin.HealthHandler),
    ("pages/admin/audit", admin_audit.AuditHandler),
    (r"pages/admin/audit\.csv", admin_audit.AuditCsvHandler),
    (r"(favicon\.ico)", browsers.StaticHandler),
    (r"(jupyterhub\.css|ngshare\.css|ngshare\.js)", browsers.StaticHandler),
]


def route_name(pattern: str) -> str:
    """What logs and metrics call a route, for example `/course/*`."""
    return "/" + re.sub(r"[\\()]", "", pattern.replace(ONE, "*"))


def make_routes(prefixes: Iterable[str]) -> list[tuple[str, Any, dict[str, str]]]:
    """Tornado's rules for a service that answers under these prefixes."""
    tables = [*ROUTES, *PAGES]
    routes = [(start, pattern, handler) for start in prefixes for pattern, handler in tables]
    routes += [("/", "healthz", health.HealthHandler), ("/", "readyz", health.ReadyHandler)]
    return [
        (re.escape(start) + pattern, handler, {"route": route_name(pattern)})
        for start, pattern, handler in routes
    ]


def describe(prefix: str, cookie: str | None) -> bytes:
    """The OpenAPI document; see openapi.make_document."""
    calls = [
        (verb.upper(), route_name(pattern), handler)
        for pattern, handler in ROUTES
        for verb in handler.allowed_verbs()
        if verb != "head"
    ]
    return openapi.make_document(calls, prefix, cookie)
