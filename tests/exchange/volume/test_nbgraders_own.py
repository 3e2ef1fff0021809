"""nbgrader's own tests, which come with it, run with the volume exchange.

What can't run is named with the reason. Those of feedback all look into nbgrader's own folders.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest import mock

import pytest
from nbgrader.tests.apps import (
    test_nbgrader_collect,
    test_nbgrader_fetch_assignment,
    test_nbgrader_list,
    test_nbgrader_releaseassignment,
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

from tests.exchange.test_nbgraders_own import but
from tests.exchange.volume.site import NBGRADER_CONFIG

FOLDER = "looks into nbgrader's own folders"
SLOW = "takes long, and has a test of ours"


@pytest.fixture
def temp_cwd(nbgraders_cwd: str, tmp_path: Path) -> object:  # noqa: F811
    with Path("nbgrader_config.py").open("a") as config:
        config.write(NBGRADER_CONFIG)
    environment = {
        "USER": get_username(),
        "JUPYTERHUB_USER": get_username(),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # nbgrader calls alembic
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
    }
    with mock.patch.dict(os.environ, environment):
        yield nbgraders_cwd


TestRelease = but(
    test_nbgrader_releaseassignment.TestNbGraderRelease,
    test_no_exchange="has no exchange, which is a failure here: it has to be mounted",
    test_exchange_bad_perms="wants a folder that everybody can write",
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
    test_submit_max_dir_size="wants a traceback",
    test_submit_with_student_id="refuses names with a plus, which work here",
)
TestCollect = but(
    test_nbgrader_collect.TestNbGraderCollect,
    test_collect_before_due_date=SLOW,
    test_owner_check="has users with names of their own",
    test_permissions="wants what is collected to be writable for everybody",
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
