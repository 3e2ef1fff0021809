"""What the mounts of the manual's hook let people do."""

from __future__ import annotations

import re

import yaml
from nbgrader.exchange import ExchangeFactory, default
from traitlets.config import Config

import ngshare.exchange.volume
from tests.exchange.volume.pod import HUB_FOLDER
from tests.exchange.volume.site import (
    EXCHANGE,
    HOME_MOUNT,
    HUB_CONFIG,
    MANUAL,
    NBGRADER_CONFIG,
    VOLUME_NAME,
    Pod,
    Site,
    notebook,
    tree,
)
from tests.exchange.volume.test_flows import grade

NOT_FOR_ALICE = [
    "echo x > $R/outbound/x",
    "echo x > $R/outbound/ps1/p1.ipynb",
    "rm -r $R/outbound/ps1",
    "echo x > $R/feedback_public/alice/x.html",
    "rm $R/feedback_public/alice/page.html",
    "ls $R/inbound/bob",
    "ls $R/feedback_public/bob",
    "mkdir $R/inbound/bob",
    "mv $R/inbound/alice $R/inbound/bob",
    "mv $R $R-old",
    "touch $R/../x",
    "mkdir $R/../other101",
]


def files_seen(pod: Pod) -> list[str]:
    """What somebody sees of the exchange."""
    return pod.shell(f"cd {EXCHANGE}; find . -type f | sort | cut -c3-").splitlines()


def modes(site: Site) -> dict[str, int]:
    folders = [site.volume, *(path for path in site.volume.rglob("*") if path.is_dir())]
    return {str(path): path.stat().st_mode for path in folders}


def test_a_student_reads_and_writes_what_is_his_and_nothing_else(site: Site) -> None:
    site.release()
    site.bob.nbgrader("submit", "ps1")
    site.write(site.course / "feedback_public/alice", {"page.html": b"for alice"})
    site.write(site.volume, {"other101/outbound/ps9/p9.ipynb": notebook()})
    site.alice.shell("touch $R/inbound/alice/mine")
    assert files_seen(site.alice) == [
        "phys101/feedback_public/alice/page.html",
        "phys101/inbound/alice/mine",
        "phys101/outbound/ps1/p1.ipynb",
    ]
    before = tree(site.volume)
    for script in NOT_FOR_ALICE:
        site.alice.shell(f"if {script}; then exit 1; fi")
    assert tree(site.volume) == before


def test_an_instructor_has_the_courses_that_he_teaches_and_no_other(site: Site) -> None:
    site.release()
    linus = site.spawn("linus", "formgrade-other101", "formgrade-more101")
    linus.configure(course="other101")
    linus.write("release/ps9", {"p9.ipynb": notebook()})
    linus.nbgrader("release_assignment", "ps9")
    assert files_seen(linus) == ["other101/outbound/ps9/p9.ipynb"]
    assert linus.shell(f"ls {EXCHANGE}").split() == ["more101", "other101"]
    linus.shell("if touch $R/../x || ls $R; then exit 1; fi")
    assert files_seen(site.grace) == ["phys101/outbound/ps1/p1.ipynb"]


def test_somebody_teaches_one_course_and_takes_another(site: Site) -> None:
    site.release()
    both = site.spawn("linus", "formgrade-other101", "nbgrader-phys101")
    both.write("release/ps9", {"p9.ipynb": notebook()})
    both.nbgrader("release_assignment", "ps9", "--course=other101")
    both.nbgrader("fetch_assignment", "ps1")
    both.nbgrader("submit", "ps1")
    assert len(site.submitted("linus")) == 1
    both.write("release/ps2", {"p2.ipynb": notebook()})
    output = both.nbgrader("release_assignment", "ps2", status=1)
    assert "outbound can't be written. Stop your server" in output
    both.shell("if ls $R/inbound/alice; then exit 1; fi")


def test_an_instructor_who_takes_his_own_course_submits_and_collects(site: Site) -> None:
    site.release()
    grace = site.spawn("grace", "nbgrader-phys101", "formgrade-phys101")
    assert [mount["subPath"] for mount in grace.mounts] == ["phys101"]
    grace.nbgrader("fetch_assignment", "ps1")
    grace.nbgrader("submit", "ps1")
    grace.nbgrader("collect", "ps1")
    assert grace.files("submitted/grace/ps1")


def test_instructors_need_only_the_folders_of_the_exchange(site: Site) -> None:
    """What is above them may be made by the container's runtime, and belong to root."""
    [course] = site.grace.mounts
    site.grace.mounts = [
        {key: f"{value}/{leaf}" if "Path" in key else value for key, value in course.items()}
        for leaf in ("inbound", "outbound", "feedback_public")
    ]
    site.release()
    site.alice.nbgrader("submit", "ps1")
    site.grace.nbgrader("collect", "ps1")
    grade(site, "alice", b"page")
    site.grace.nbgrader("release_feedback", "ps1")
    site.alice.nbgrader("fetch_feedback", "ps1")
    site.grace.shell("if touch $R/x; then exit 1; fi")


def test_no_folder_changes_its_mode_or_becomes_everybodys(site: Site) -> None:
    site.release()
    before = modes(site)
    site.grace.write("release/ps2", {"p2.ipynb": notebook()})
    site.grace.nbgrader("release_assignment", "ps2")
    site.grace.nbgrader("release_assignment", "ps1", "--force")
    site.alice.nbgrader("submit", "ps1")
    site.grace.nbgrader("collect", "ps1")
    after = modes(site)
    assert {path: after[path] for path in before} == before
    assert [path for path, mode in after.items() if mode & 0o002] == []


def test_without_mounts_every_command_fails_in_a_sentence(site: Site) -> None:
    nobody = site.spawn("nobody")
    assert nobody.mounts == []
    nobody.write("ps1", {"p1.ipynb": notebook()})
    nobody.write("release/ps1", {"p1.ipynb": notebook()})
    nobody.write("feedback/x/ps1", {"p1.html": b""})
    for command in (
        ("list",),
        ("fetch_assignment", "ps1"),
        ("submit", "ps1"),
        ("collect", "ps1"),
        ("release_assignment", "ps1"),
        ("release_feedback", "ps1"),
        ("fetch_feedback", "ps1"),
    ):
        output = nobody.nbgrader(*command, status=1)
        assert "exchange, so no course is mounted. Stop your server in the JupyterHub" in output
        assert "Traceback" not in output
    site.alice.configure(course="other101")
    site.alice.write("ps1", {"p1.ipynb": notebook()})
    output = site.alice.nbgrader("submit", "ps1", status=1)
    assert "There is no folder /usr/local/share/nbgrader/exchange/other101: check how" in output


def test_who_starts_again_has_what_his_groups_say_now(site: Site) -> None:
    """A spawner may still have what the hook gave it at the last start, or a dictionary."""
    alice = site.alice
    again = site.spawn("alice", "nbgrader-phys101", mounted=(HOME_MOUNT, *alice.mounts))
    assert again.mounts == alice.mounts
    as_dictionary = {"0-home": HOME_MOUNT, "1-exchange": alice.mounts[0]}
    left = site.spawn("alice", "nbgrader-other101", mounted=as_dictionary)
    assert {str(mount["subPath"]).split("/")[0] for mount in left.mounts} == {"other101"}


def test_a_course_whose_folders_can_not_be_mounted_costs_nobody_the_others(site: Site) -> None:
    site.write(site.volume, {"file101": b"", "link101/inbound/bob/x": b"", "names101/y": b""})
    (site.volume / "link101/inbound/alice").symlink_to("bob")
    (site.volume / "names101").chmod(0o500)
    courses = ["file101", "link101", "names101", "phys101", "a:b"]
    alice = site.spawn("alice", *(f"nbgrader-{course_id}" for course_id in courses))
    assert {str(mount["subPath"]).split("/")[0] for mount in alice.mounts} == {"phys101"}
    refused = [line.split(":")[0] for line in sorted(site.hub_log)]
    told = [f"alice gets no folders of {name}" for name in ("a", "file101", "link101", "names101")]
    assert refused == told
    assert "link101/inbound/alice is a link, and is not mounted: remove it" in str(site.hub_log)
    site.release()
    alice.nbgrader("submit", "ps1")
    site.spawn("grace", "formgrade-phys101", "formgrade-file101").nbgrader("list")


def test_the_manuals_values_for_the_chart_fit_its_hook() -> None:
    [block] = re.findall(r"^```yaml\n(.*?)^```$", MANUAL.read_text(), re.MULTILINE | re.DOTALL)
    values = yaml.safe_load(block)
    [mount] = values["hub"]["extraVolumeMounts"]
    assert mount == {"name": VOLUME_NAME, "mountPath": HUB_FOLDER}
    volumes = [*values["hub"]["extraVolumes"], *values["singleuser"]["storage"]["extraVolumes"]]
    assert [volume["name"] for volume in volumes] == [VOLUME_NAME] * 2
    assert f'VOLUME = "{VOLUME_NAME}"' in HUB_CONFIG
    assert f'"{HUB_FOLDER}"' in HUB_CONFIG


def test_the_manuals_classes_are_nbgraders_each_for_its_verb() -> None:
    config = Config()
    exec(NBGRADER_CONFIG, {"get_config": lambda: config})
    factory = ExchangeFactory(config=config)
    assert set(config.ExchangeFactory) == set(factory.class_own_traits(config=True))
    for verb in config.ExchangeFactory:
        kind = getattr(factory, verb)
        assert kind.__module__.startswith("ngshare.exchange.volume.")
        assert issubclass(kind, getattr(default, kind.__name__))
        assert issubclass(kind, ngshare.exchange.volume.Exchange)
        assert factory.traits()[verb].klass.__name__ == kind.__name__


API = """
from nbgrader.apps import NbGrader
from nbgrader.apps.api import NbGraderAPI

app = NbGrader(log_level=50)
app.initialize([])
api = NbGraderAPI(app.coursedir, parent=app)
for call in {calls!r}:
    answer = getattr(api, call[0])(*call[1:])
    print(answer if isinstance(answer, set) else answer["success"])
print("missing:", api.exchange_missing)
"""


def test_what_formgrader_and_the_assignment_list_call_works(site: Site) -> None:
    site.release()
    site.alice.nbgrader("submit", "ps1")
    calls = [("get_released_assignments",), ("collect", "ps1")]
    script = API.format(calls=calls)
    assert site.grace.run("python", script).split() == ["{'ps1'}", "True", "missing:", "False"]
    grade(site, "alice", b"page")
    calls = [("release_feedback", "ps1"), ("unrelease", "ps1"), ("get_released_assignments",)]
    said = site.grace.run("python", API.format(calls=calls)).split()
    assert said == ["True", "True", "set()", "missing:", "False"]
    calls = [("fetch_feedback", "ps1", "alice")]
    assert site.alice.run("python", API.format(calls=calls)).split() == [
        "True",
        "missing:",
        "False",
    ]
    assert list(site.alice.files("ps1/feedback").values()) == [b"page"]
    nobody = site.spawn("nobody")
    said = nobody.run("python", API.format(calls=[("get_released_assignments",)])).split()
    assert said == ["set()", "missing:", "True"]
