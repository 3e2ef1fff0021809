"""nbgrader's own tests, which come with it, run with our exchange.

What can't run is named with the reason. Most of that looks into the folder of nbgrader's own
exchange, which ngshare has not; what it tests is tested here, with the server's API, in the module
of the same verb.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import pytest
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.tests.apps import (
    test_api,
    test_nbgrader_collect,
    test_nbgrader_fetch_assignment,
    test_nbgrader_fetchfeedback,
    test_nbgrader_list,
    test_nbgrader_releaseassignment,
    test_nbgrader_releasefeedback,
    test_nbgrader_submit,
)
from nbgrader.tests.apps.conftest import (  # noqa: F401
    cache,
    course_dir,
    db,
    exchange,
    fake_home_dir,
)
from nbgrader.tests.apps.conftest import temp_cwd as nbgraders_cwd  # noqa: F401
from nbgrader.utils import get_username
from traitlets.config import Config

from ngshare.exchange import configure_exchange
from tests.exchange.conftest import Service
from tests.exchange.people import CONFIG
from tests.fake_hub import token_of

COURSES = ("abc101", "abc102", "xyz200")

FOLDER = "looks into the exchange's folder"
OTHERS = "submits in somebody else's name"
NOT_MADE = "releases or fetches feedback on a submission that nobody has made"
NOT_OURS = "is about the gradebook alone"


@pytest.fixture
def temp_cwd(nbgraders_cwd: str, empty: Service, tmp_path: Path) -> object:  # noqa: F811
    """Whoever runs these tests teaches their courses."""
    me = get_username()
    for course in COURSES:
        empty.api.user("root").ok("POST", f"course/{course}", instructors=f'["{me}"]')
    with Path("nbgrader_config.py").open("a") as config:
        config.write(CONFIG.format(url=empty.url, course=""))
    environment = {
        "USER": me,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # nbgrader calls alembic
        "JUPYTERHUB_API_TOKEN": token_of(me),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
    }
    with mock.patch.dict(os.environ, environment):
        yield nbgraders_cwd


@pytest.fixture
def api(temp_cwd: str, empty: Service, course_dir: str, db: str, cache: str) -> NbGraderAPI:  # noqa: F811
    config = Config()
    configure_exchange(config, empty.url)
    config.CourseDirectory.course_id = "abc101"
    config.Exchange.cache = cache
    config.CourseDirectory.root = course_dir
    config.CourseDirectory.db_url = db
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def but(theirs: type, **reasons: str) -> type:
    """Tests of nbgrader, but for some, each for a reason."""
    assert set(reasons) <= set(dir(theirs))
    return type(theirs.__name__, (theirs,), dict.fromkeys(reasons))


TestRelease = but(
    test_nbgrader_releaseassignment.TestNbGraderRelease,
    test_release=FOLDER,
    test_release_deprecated=FOLDER,
    test_force_release=FOLDER,
    test_force_release_f=FOLDER,
    test_release_with_assignment_flag=FOLDER,
    test_no_exchange=FOLDER,
    test_exchange_bad_perms=FOLDER,
    test_permissions=FOLDER,
)
TestFetch = but(test_nbgrader_fetch_assignment.TestNbGraderFetch)
TestSubmit = but(
    test_nbgrader_submit.TestNbGraderSubmit,
    test_submit=FOLDER,
    test_submit_readonly=FOLDER,
    test_submit_multiple_courses=FOLDER,
    test_submit_exclude=FOLDER,
    test_submit_include=FOLDER,
    test_submit_max_file_size=FOLDER,
    test_submit_with_student_id=OTHERS,
)
TestCollect = but(
    test_nbgrader_collect.TestNbGraderCollect,
    test_owner_check=OTHERS,
    test_permissions=OTHERS,
)
TestList = but(
    test_nbgrader_list.TestNbGraderList,
    test_list_inbound=FOLDER,
    test_list_inbound_no_random_string=FOLDER,
    test_list_without_random_string=FOLDER,
    test_list_feedback_inbound=FOLDER,
    test_list_feedback_cached=FOLDER,
    test_list_remove_inbound=FOLDER,
)
TestReleaseFeedback = but(
    test_nbgrader_releasefeedback.TestNbGraderReleaseFeedback,
    test_single_file=NOT_MADE,
    test_single_student=NOT_MADE,
    test_student_id_exclude=NOT_MADE,
    test_permissions=NOT_MADE,
)
TestFetchFeedback = but(test_nbgrader_fetchfeedback.TestNbGraderFetchFeedback)
TestApi = but(
    test_api.TestNbGraderAPI,
    test_release_deprecated=FOLDER,
    test_release_and_unrelease=FOLDER,
    test_release_feedback=NOT_MADE,
    test_fetch_feedback=NOT_MADE,
    **dict.fromkeys(
        (
            "test_autograde",
            "test_deprecation",
            "test_generate_assignment",
            "test_generate_feedback",
            "test_get_assignment_custom_timezone",
            "test_get_autograded_students",
            "test_get_autograded_students_no_timestamps",
            "test_get_notebook_submission_indices",
            "test_get_notebook_submissions",
            "test_get_notebooks",
            "test_get_released_assignments_windows",
            "test_get_student",
            "test_get_student_notebook_submissions",
            "test_get_student_submissions",
            "test_get_students",
            "test_get_submission",
            "test_get_submission_no_timestamp",
            "test_get_submissions",
        ),
        NOT_OURS,
    ),
)
