"""The route table: one line a URL."""

from __future__ import annotations

import re
from typing import Any

from ngshare.handlers import assignments, courses, feedback, health, pages, rosters, submissions

ONE = "([^/]+)"
TWO = f"{ONE}/{ONE}"
THREE = f"{TWO}/{ONE}"

# Below the prefix. An id is one percent-encoded segment.
ROUTES: list[tuple[str, Any]] = [
    ("", pages.HomeHandler),
    (r"(favicon\.ico|ngshare\.css)", pages.StaticHandler),
    ("courses", courses.CourseListHandler),
    (f"course/{ONE}", courses.CourseHandler),
    (f"instructors/{ONE}", rosters.InstructorListHandler),
    (f"instructor/{TWO}", rosters.InstructorHandler),
    (f"students/{ONE}", rosters.StudentListHandler),
    (f"student/{TWO}", rosters.StudentHandler),
    (f"assignments/{ONE}", assignments.AssignmentListHandler),
    (f"assignment/{TWO}", assignments.AssignmentHandler),
    (f"submissions/{TWO}", submissions.SubmissionListHandler),
    (f"submissions/{THREE}", submissions.StudentSubmissionListHandler),
    (f"submission/{TWO}", submissions.SubmitHandler),
    (f"submission/{THREE}", submissions.SubmissionHandler),
    (f"feedback/{THREE}", feedback.FeedbackHandler),
    ("initialize-Data6ase", pages.DatabaseHandler),
    ("oauth_callback", pages.LoginCallbackHandler),
    ("healthz", health.HealthHandler),
]


def make_routes(prefix: str) -> list[tuple[str, Any]]:
    """Tornado's rules for a service that lives under prefix, for example `/services/ngshare/`."""
    routes = [(re.escape(prefix) + pattern, handler) for pattern, handler in ROUTES]
    return [*routes, ("/healthz", health.HealthHandler)]
