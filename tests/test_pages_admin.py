"""What admins see and do in a browser."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from sqlalchemy import func, select, update

from ngshare import audit, catalogue, courses, people, storage, vitals
from ngshare.audit import Change
from ngshare.database import garbage
from ngshare.database.engine import Database
from ngshare.database.models import Blob, Course, Membership, User
from ngshare.errors import PermissionDenied
from ngshare.pages import admin, admin_audit
from ngshare.permissions import Identity
from ngshare.tables import View
from tests.api import Api, Caller, encode, person, segment
from tests.fake_hub import FakeHub
from tests.tables import read_csv, read_tables

ROOT = Identity("root", is_admin=True)
BROWSER = {"Accept": "text/html"}
XSS = "<script>alert(1)</script>"


def page(caller: Caller, path: str, status: int = 200, **query: str) -> str:
    """The HTML that a browser gets."""
    response = caller.call("GET", path, params=query, headers=BROWSER)
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    return response.text


def post(caller: Caller, path: str, **form: str) -> requests.Response:
    """A form, as a browser sends it, but with a token in the header."""
    return caller.call("POST", path, data=form, headers=BROWSER)


def text_of(markup: str) -> str:
    """What people read, with single spaces."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", markup)).split())


def notice(caller: Caller, response: requests.Response) -> str:
    """What the page after a form says was done."""
    assert response.status_code == 303, response.text
    where = response.headers["Location"]
    cookies = {cookie.name: cookie.value or "" for cookie in response.cookies}
    path = where.removeprefix("/services/ngshare/")
    after = caller.call("GET", path, headers=BROWSER, cookies=cookies)
    assert after.status_code == 200
    found = re.search('role="status">(.*?)</div>', after.text, re.DOTALL)
    assert found
    return text_of(found[1])


def rows(markup: str) -> list[list[str]]:
    """The cells of every row of a page's tables that has any."""
    bodies = re.findall("<tbody>(.*?)</tbody>", markup, re.DOTALL)
    cells = (
        re.findall("<t[dh][ >].*?</t[dh]>", row, re.DOTALL)
        for body in bodies
        for row in re.findall("<tr>.*?</tr>", body, re.DOTALL)
    )
    return [[text_of(cell) for cell in row] for row in cells]


def message(response: requests.Response, status: int) -> str:
    assert response.status_code == status
    found = re.search('<p class="lead">(.*?)</p>', response.text, re.DOTALL)
    assert found
    return text_of(found[1])


@pytest.fixture
def busy(course: Api) -> Api:
    """The course, in which lawrence submitted twice and has feedback."""
    for content in (b"1", b"22"):
        timestamp = course.user("lawrence").submit("course1", "challenge", {"a": content})
    fields = {"timestamp": timestamp, "files": encode({"f": b"good"})}
    course.user("kevin").ok("POST", "feedback/course1/challenge/lawrence", **fields)
    return course


@pytest.fixture
def root_user(busy: Api) -> Caller:
    return busy.user("root")


# ---- courses ----


def test_all_courses_are_listed_with_what_is_in_them(root_user: Caller) -> None:
    root_user.ok("DELETE", "course/course2")
    found = rows(page(root_user, "pages/admin"))
    assert found[0] == ["course1", "3", "1", "2", "12 bytes", "current"]  # 5 + 1 + 2 + 4 bytes
    assert found[1][:5] == ["course2", "2", "0", "0", "0 bytes"]
    assert found[1][5].startswith("deleted")
    for state, ids in (("current", ["course1"]), ("deleted", ["course2"])):
        assert [row[0] for row in rows(page(root_user, "pages/admin", state=state))] == ids


@pytest.mark.parametrize("column", ["course", "people", "assignments", "submissions", "bytes"])
def test_courses_are_sorted_by_each_column(root_user: Caller, column: str) -> None:
    found = rows(page(root_user, "pages/admin", sort=column, order="desc"))
    best = "course2" if column == "course" else "course1"
    assert found[0][0] == best


def test_courses_are_searched(root_user: Caller) -> None:
    assert [row[0] for row in rows(page(root_user, "pages/admin", search="SE2"))] == ["course2"]
    assert "No course is found here" in page(root_user, "pages/admin", search="%")


def test_a_course_is_created_with_its_instructors(root_user: Caller, busy: Api) -> None:
    response = post(root_user, "pages/admin", course_id="new", instructors="kevin, abigail,")
    said = notice(root_user, response)
    assert said == "Course new was created, taught by kevin, abigail."
    assert busy.user("abigail").ok("GET", "courses")["courses"] == ["course2", "new"]
    assert message(post(root_user, "pages/admin", course_id="new"), 409) == "Course already exists"
    said = message(post(root_user, "pages/admin", course_id=""), 400)
    assert said == "Please supply course id"
    assert message(post(root_user, "pages/admin", course_id=".."), 400).startswith("Illegal name")


def test_a_notice_is_cut_before_it_is_too_long_for_a_header(root_user: Caller) -> None:
    names = ", ".join(f"lehrkraft-für-{number}" for number in range(500))
    response = post(root_user, "pages/admin", course_id="new", instructors=names)
    assert len(response.headers["Set-Cookie"]) < 2500
    said = notice(root_user, response)
    assert said.startswith("Course new was created, taught by lehrkraft-für-0, ")
    assert said.endswith("…")


def test_instructors_are_appointed_and_removed_and_keep_their_names(
    root_user: Caller, busy: Api
) -> None:
    path = "pages/admin/course/course1"
    response = post(root_user, path, action="appoint", instructors="lawrence; nora")
    assert notice(root_user, response) == "lawrence, nora are teaching course1 now."
    listed = root_user.ok("GET", "instructors/course1")["instructors"]
    assert [(each["username"], each["email"]) for each in listed] == [
        ("kevin", None),
        ("lawrence", "lawrence@example.org"),
        ("nora", None),
    ]
    response = post(root_user, path, action="remove", username="kevin")
    assert notice(root_user, response) == "kevin is no longer in course1."
    assert busy.user("kevin").ok("GET", "courses")["courses"] == []
    assert message(post(root_user, path, action="remove", username="kevin"), 404) == (
        "Instructor not found"
    )
    said = message(post(root_user, path, action="appoint", instructors=" , "), 400)
    assert said == "Please supply the user names of the instructors"


def test_a_deleted_course_is_out_of_sight_and_comes_back_as_it_was(
    root_user: Caller, busy: Api, database: Database
) -> None:
    def people() -> Any:
        query = select(Membership.user_pk, Membership.role, Membership.active)
        return database.read(lambda c: c.execute(query.order_by(Membership.pk)).all())

    before = people()
    path = "pages/admin/course/course1"
    response = post(root_user, path, action="delete")
    assert notice(root_user, response) == ("Course course1 was deleted. Below it can be restored.")
    assert busy.user("lawrence").ok("GET", "courses")["courses"] == []
    assert "with kevin teaching" in text_of(page(root_user, path))
    response = post(root_user, path, action="restore")
    assert notice(root_user, response) == (
        "Course course1 is back, with its people and their work."
    )
    assert people() == before
    assert busy.user("kevin").ok("GET", "courses")["courses"] == ["course1"]
    assert busy.user("lawrence").files("submission/course1/challenge/lawrence") == {"a": b"22"}
    assert message(post(root_user, path, action="restore"), 409) == "This course is not deleted"


def test_only_a_deleted_course_is_purged_and_only_if_its_id_is_typed(
    root_user: Caller, database: Database
) -> None:
    path = "pages/admin/course/course1"
    form = {"action": "purge", "typed": "course1"}
    assert message(post(root_user, path, **form), 409) == "This course is not deleted"
    root_user.ok("DELETE", "course/course1")
    before = read_tables(database)
    for typed in ("", "course2", "Course1"):
        said = message(post(root_user, path, action="purge", typed=typed), 400)
        assert said == "Type the id of the course, course1; nothing was erased"
    assert read_tables(database) == before
    response = post(root_user, path, **form)
    assert notice(root_user, response) == "Course course1 and all its work were erased."
    tables = read_tables(database)
    assert [row[1] for row in tables["courses"]] == ["course2"]
    assert tables["submissions"] == tables["blobs"] == []


def test_what_a_form_does_to_courses_is_in_the_audit_log(
    root_user: Caller, database: Database
) -> None:
    path = "pages/admin/course/course2"
    for form in (
        {"action": "appoint", "instructors": "nora"},
        {"action": "delete"},
        {"action": "restore"},
        {"action": "delete"},
        {"action": "purge", "typed": "course2"},
    ):
        assert post(root_user, path, **form).status_code == 303
    found = [row[1:] for row in rows(page(root_user, "pages/admin/audit", course="course2"))]
    assert [(by, action, username) for by, action, _, _, username, _ in found[:5]] == [
        ("root", "purge course", ""),
        ("root", "delete course", ""),
        ("root", "restore course", ""),
        ("root", "delete course", ""),
        ("root", "add instructor", "nora"),
    ]


def test_an_unknown_action_changes_nothing(root_user: Caller, database: Database) -> None:
    before = read_tables(database)
    for path in ("pages/admin/course/course1", "pages/admin/people/lawrence"):
        assert "action should be" in message(post(root_user, path, action="burn"), 400)
    assert read_tables(database) == before


# ---- people ----


def test_everybody_is_listed_with_courses_and_submissions(root_user: Caller) -> None:
    found = rows(page(root_user, "pages/admin/people"))
    assert [row[0] for row in found] == ["abigail", "eric", "kevin", "lawrence"]
    assert found[1] == [
        "eric",
        "Eric Student",
        "eric@example.org",
        "course1 (student) course2 (student)",
        "0",
    ]
    assert found[3][3:] == ["course1 (student)", "2"]
    for search in ("LAWRENCE@ex", "rence St", "lawr"):
        found = rows(page(root_user, "pages/admin/people", search=search))
        assert [row[0] for row in found] == ["lawrence"]
    found = rows(page(root_user, "pages/admin/people", sort="submissions", order="desc"))
    assert found[0][0] == "lawrence"


def test_a_persons_page_says_what_would_move(root_user: Caller) -> None:
    text = text_of(page(root_user, "pages/admin/people/lawrence"))
    assert "new name: 1 course, 2 submissions (1 with feedback)." in text
    text = text_of(page(root_user, "pages/admin/people/kevin"))
    assert "1 released version of assignments, 1 directory of feedback to others" in text


def digest_of(root_user: Caller, name: str = "larry") -> str:
    """Of the preview of a merger into eric."""
    text = page(root_user, f"pages/admin/people/{name}/merge", into="eric")
    [digest] = re.findall('name="digest" value="(.*?)"', text)
    return digest


def test_people_are_renamed_merged_and_deactivated_by_forms(root_user: Caller, busy: Api) -> None:
    path = "pages/admin/people/"
    response = post(root_user, f"{path}lawrence", action="rename", new_name="larry")
    assert notice(root_user, response) == "lawrence is called larry now."
    said = text_of(page(root_user, f"{path}larry/merge", into="eric"))
    assert "Merge larry into eric" in said
    assert "Submissions 2 0 2" in said
    response = post(root_user, f"{path}larry/merge", into="eric", digest=digest_of(root_user))
    assert notice(root_user, response) == "larry was merged into eric."
    assert len(busy.user("eric").ok("GET", "submissions")["submissions"]) == 2
    said = notice(root_user, post(root_user, f"{path}eric", action="deactivate"))
    assert re.fullmatch(
        r"eric is set aside as eric \(deactivated \d{4}-\d\d-\d\d\); the name eric is free\.", said
    )
    found = [row[2] for row in rows(page(root_user, "pages/admin/audit"))]
    assert found[0] == "deactivate person"
    assert [action for action in found if action.endswith(" person")] == [
        "deactivate person",
        *("merge person", "merge person"),
        "rename person",
    ]


def test_a_merger_says_before_which_rights_it_gives(root_user: Caller) -> None:
    said = text_of(page(root_user, "pages/admin/people/kevin/merge", into="eric"))
    assert "eric will be instructor of course1, and is not now." in said
    said = text_of(page(root_user, "pages/admin/people/lawrence/merge", into="eric"))
    assert "and is not now" not in said


def test_a_merger_that_would_give_other_rights_now_is_shown_anew(
    root_user: Caller, busy: Api
) -> None:
    path = "pages/admin/people/lawrence/merge"
    stale = digest_of(root_user, "lawrence")
    root_user.ok("POST", "instructor/course1/lawrence", **person("lawrence"))
    for digest in (stale, ""):
        said = post(root_user, path, into="eric", digest=digest).text
        assert "Nothing was changed" in said
        assert "eric will be instructor of course1" in text_of(said)
    assert "lawrence" in root_user.ok("GET", "instructors/course1")["instructors"][-1]["username"]
    response = post(root_user, path, into="eric", digest=digest_of(root_user, "lawrence"))
    assert notice(root_user, response) == "lawrence was merged into eric."


@pytest.mark.parametrize("old", ["..", " \n", "x" * 300, "a//b", "&name=<b>\x7f"])
def test_people_whose_names_are_not_allowed_any_more_can_be_renamed(
    root_user: Caller, database: Database, old: str
) -> None:
    rename = update(User).where(User.name == "kevin").values(name=old)
    database.write(lambda c: c.execute(rename))
    links = []
    for path in ("pages/admin/people?search=Kevin", "pages/admin/course/course1"):
        links += re.findall(
            'href="/services/ngshare/(pages/admin/person.*?)"', page(root_user, path)
        )
    assert len(set(links)) == 1
    path = html.unescape(links[0])
    text = page(root_user, path)
    assert "Rename this person first" in text
    assert f'action="/services/ngshare/{links[0]}"' in text
    assert "Illegal name" in message(post(root_user, path, new_name="."), 400)
    assert "called eric already" in message(post(root_user, path, new_name="eric"), 409)
    assert "is called kim now." in notice(root_user, post(root_user, path, new_name="kim"))
    assert "Merge:" in page(root_user, "pages/admin/people/kim")
    assert page(root_user, path, status=404)
    assert page(root_user, "pages/admin/person?name=a%00b", status=404)


def test_refusals_lead_back_to_the_person(root_user: Caller) -> None:
    path = "pages/admin/people/lawrence"
    response = post(root_user, path, action="rename", new_name="eric")
    assert "if the two are one person, merge them" in message(response, 409)
    assert f'href="/services/ngshare/{path}"' in response.text
    assert page(root_user, "pages/admin/people/nobody", status=404)
    assert page(root_user, f"{path}/merge", status=400, into="lawrence")


# ---- storage ----


def test_bytes_are_told_by_course_and_add_up(root_user: Caller, database: Database) -> None:
    text = b"the same text, again and again. " * 1000
    for name in ("lawrence", "eric"):
        Caller(root_user.api, root_user.api.user(name).headers).submit(
            "course1", "challenge", {"a": text, "b": text}
        )
    usage = database.read(storage.measure, ROOT)
    sizes = [
        (each.course_id, each.releases, each.submissions, each.feedback) for each in usage.courses
    ]
    assert sizes == [("course1", 5, 3 + 4 * len(text), 4), ("course2", 0, 0, 0)]
    assert usage.contents == 5 + 3 + 4 + len(text)
    assert usage.deduplicated == 3 * len(text)
    stored = database.read(lambda c: c.scalar(select(func.sum(Blob.stored_size))))
    assert usage.stored == stored < len(text)
    assert usage.total == usage.deduplicated + usage.compressed + usage.stored
    assert usage.garbage == usage.lost == usage.uploads == 0
    assert usage.database > 16384
    found = rows(page(root_user, "pages/admin/storage"))
    assert ["course1", "5 bytes", "125 KiB", "4 bytes", "125 KiB"] in found


def test_garbage_is_told_until_it_is_collected(root_user: Caller, database: Database) -> None:
    before = database.read(storage.measure, ROOT)
    timestamp = root_user.ok("GET", "submissions")["submissions"][-1]["timestamp"]
    path = "feedback/course1/challenge/lawrence"
    fields = {"timestamp": timestamp, "files": encode({"f": b"better"})}
    root_user.ok("POST", path, **fields)
    after = database.read(storage.measure, ROOT)
    assert (before.garbage, after.garbage) == (0, 4)
    for _ in range(2):
        list(garbage.collect(database, -1))
    assert database.read(storage.measure, ROOT).garbage == 0


def test_contents_that_were_lost_are_no_savings(root_user: Caller, database: Database) -> None:
    lost = update(Blob).where(Blob.size == 5).values(encoding="missing", stored_size=0)
    database.write(lambda c: c.execute(lost))
    usage = database.read(storage.measure, ROOT)
    assert usage.lost == 5
    assert usage.compressed == 0


def test_the_largest_files_are_named_with_a_place_of_theirs(
    root_user: Caller, busy: Api, database: Database
) -> None:
    for name in ("lawrence", "eric"):
        busy.user(name).submit("course1", "challenge", {"big": b"x" * 5000, "own": name.encode()})
    largest = database.read(storage.list_largest, ROOT)
    assert [row.size for row in largest] == [5000, 8, 5, 4, 4, 2, 1]
    top = largest[0]
    assert (top.path, top.directories) == ("big", 2)
    assert (top.course_id, top.assignment_id) == ("course1", "challenge")
    assert all(row.course_id == "course1" for row in largest)


# ---- health ----


def definitions(markup: str) -> dict[str, str]:
    pairs = re.findall("<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", markup, re.DOTALL)
    return {text_of(name): text_of(value) for name, value in pairs}


def test_the_health_of_the_service_is_told(root_user: Caller, database: Database) -> None:
    markup = page(root_user, "pages/admin/health")
    told = definitions(markup)
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    assert told["Kind"].startswith(kind)
    assert told["Schema"].endswith(", that of this release")
    assert told["Answered within"].endswith(" ms")
    assert told["Calls in flight"] == "1, this one too"
    assert ["max_submissions_per_minute", "none"] in rows(markup)
    assert ["max_file_bytes", "128 MiB"] in rows(markup)


@pytest.mark.parametrize(
    ("mode", "said"),
    [("silent", "It did not answer within 1 s"), ("error", "answered with an error")],
)
def test_a_hub_that_fails_is_told_and_does_not_hang_the_page(
    root_user: Caller, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, mode: str, said: str
) -> None:
    monkeypatch.setattr(admin, "HUB_WAIT_SECONDS", 1.0)
    page(root_user, "pages/admin/health")  # the Hub has told who root is
    hub.mode = mode
    started = time.monotonic()
    told = definitions(page(root_user, "pages/admin/health"))
    assert time.monotonic() - started < 5  # the Hub has ten seconds otherwise
    assert said in told["What is wrong"]


def test_a_database_that_fails_is_told(
    root_user: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("broken")

    page(root_user, "pages/admin/health")
    monkeypatch.setattr(database, "check_file", fail)
    time.sleep(1.1)  # the probe's answer is kept for a second
    text = text_of(page(root_user, "pages/admin/health"))
    assert "Database fails" in text
    assert "The database fails; ngshare's log has the cause" in text


def test_postgresql_knows_which_processes_are_connected(
    root_user: Caller, database: Database
) -> None:
    found = database.read(vitals.read_vitals, ROOT)
    if database.is_sqlite:
        assert found.processes is None
        return
    assert found.processes
    (process,) = found.processes
    assert process.name.startswith("ngshare ")
    assert process.connections >= 1
    assert process.name in text_of(page(root_user, "pages/admin/health"))


# ---- the audit log ----


def test_the_audit_log_is_shown_newest_first_and_searched(root_user: Caller) -> None:
    found = rows(page(root_user, "pages/admin/audit"))
    assert found[0][1:6] == ["kevin", "release feedback", "course1", "challenge", "lawrence"]
    assert found[-1][1:4] == ["root", "create course", "course1"]
    found = rows(page(root_user, "pages/admin/audit", search="VERSION 1"))
    assert [row[2] for row in found] == ["release assignment"]
    found = rows(page(root_user, "pages/admin/audit", course="course2"))
    assert {row[3] for row in found} == {"course2"}
    oldest = page(root_user, "pages/admin/audit", sort="at")
    assert rows(oldest)[0][2] == "create course"
    assert "No entry is found here" in page(root_user, "pages/admin/audit", search="zzz")


def test_the_audit_log_is_downloaded_as_csv(root_user: Caller, busy: Api) -> None:
    response = root_user.call("GET", "pages/admin/audit.csv")
    assert response.headers["Content-Type"] == "text/csv; charset=UTF-8"
    assert response.headers["Content-Disposition"].startswith("attachment")
    table = read_csv(response.content)
    shown = rows(page(root_user, "pages/admin/audit"))
    assert [(row["by"], row["action"], row["course"]) for row in table] == [
        tuple(row[1:4]) for row in shown
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]+\.\d{6} UTC", table[0]["time"])
    text = root_user.call("GET", "pages/admin/audit.csv?course=course2&search=kevin").text
    assert len(text.splitlines()) == 1


def test_a_name_like_a_formula_is_text_in_the_csv(root_user: Caller) -> None:
    root_user.ok("POST", "course/" + segment('=HYPERLINK("x")'))
    first = read_csv(root_user.call("GET", "pages/admin/audit.csv").content)[0]
    assert first["course"] == '\'=HYPERLINK("x")'


def test_a_long_audit_log_is_sent_in_parts_up_to_a_bound(
    root_user: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [Change("test", detail=str(number)) for number in range(2500)]
    database.write(audit.record, ROOT, *changes)

    def details() -> list[str]:
        response = root_user.call("GET", "pages/admin/audit.csv?search=test")
        return [row["detail"] for row in read_csv(response.content)]

    assert details() == [str(number) for number in reversed(range(2500))]
    monkeypatch.setattr(admin_audit, "MAX_ROWS", 2000)
    assert len(details()) == 2000


# ---- for admins, and safe ----

PAGES = [
    "pages/admin",
    "pages/admin/course/course1",
    "pages/admin/people",
    "pages/admin/people/lawrence",
    "pages/admin/people/lawrence/merge?into=eric",
    "pages/admin/storage",
    "pages/admin/health",
    "pages/admin/audit",
]


def test_the_way_to_the_pages_is_shown_to_admins_only(busy: Api) -> None:
    link = 'href="/services/ngshare/pages/admin"'
    assert link in page(busy.user("root"), "")
    assert link not in page(busy.user("kevin"), "")


@pytest.mark.parametrize("path", [*PAGES, "pages/admin/audit.csv"])
def test_the_pages_of_admins_tell_others_nothing(busy: Api, hub: FakeHub, path: str) -> None:
    asked = hub.asked.total()
    response = busy.user("lawrence").call("GET", path, headers=BROWSER)
    assert message(response, 403) == "Permission denied"
    assert "eric" not in response.text
    assert hub.asked.total() == asked  # who he is was known


@pytest.mark.parametrize("identity", [Identity("kevin"), Identity("root", is_service=True)])
def test_only_admins_are_told_by_the_domain(
    busy: Api, database: Database, identity: Identity
) -> None:
    view = View("", "at", False, 1)
    calls: list[tuple[Callable[..., object], list[object]]] = [
        (vitals.read_vitals, []),
        (storage.measure, []),
        (storage.list_largest, []),
        (catalogue.list_courses, [view]),
        (catalogue.get_course, ["course1"]),
        (people.list_people, [view]),
        (audit.list_entries, [view]),
        (audit.list_before, [None, 10]),
        (courses.appoint_instructors, ["course1", ["kevin"]]),
        (courses.restore_course, ["course1"]),
        (courses.purge_deleted_course, ["course1", "course1"]),
    ]
    for function, arguments in calls:
        with pytest.raises(PermissionDenied):
            database.write(function, identity, *arguments)


def test_names_like_scripts_are_harmless_on_all_pages(busy: Api) -> None:
    root = busy.user("root")
    root.ok("POST", "course/" + segment(XSS), instructors=f'["{XSS}"]')
    fields = {"first_name": XSS, "last_name": XSS, "email": XSS}
    root.ok("POST", f"student/course1/{segment(XSS)}", **fields)
    busy.user(XSS).submit("course1", "challenge", {XSS.replace("/", ""): b"x" * 900})
    paths = [
        *PAGES,
        "pages/admin/course/" + segment(XSS),
        "pages/admin/people/" + segment(XSS),
        f"pages/admin/people/{segment(XSS)}/merge?into=eric",
        f"pages/admin?search={segment(XSS)}",
        f"pages/admin/audit?search={segment(XSS)}&course={segment(XSS)}",
    ]
    for path in paths:
        assert "<script>" not in page(root, path), path
    assert html.escape(XSS) in page(root, "pages/admin/storage")


def test_a_form_without_its_token_changes_nothing(
    busy: Api, hub: FakeHub, database: Database
) -> None:
    with requests.Session() as browser:
        browser.trust_env = False
        start = browser.get(busy.url, headers=BROWSER, allow_redirects=False, timeout=5)
        state = re.search("state=([^&]+)", start.headers["Location"])
        assert state
        back = f"{busy.url}oauth_callback?code=root&state={state[1]}"
        browser.get(back, headers=BROWSER, allow_redirects=False, timeout=5)
        path = busy.url + "pages/admin/course/course1"
        form = {"action": "delete"}
        before = read_tables(database)
        response = browser.post(path, data=form, headers=BROWSER, timeout=5)
        assert response.status_code == 403
        assert read_tables(database) == before
        shown = browser.get(path, headers=BROWSER, timeout=5).text
        token = re.search('name="_xsrf" value="([^"]+)"', shown)
        assert token
        form["_xsrf"] = html.unescape(token[1])
        response = browser.post(path, data=form, headers=BROWSER, allow_redirects=False, timeout=5)
        assert response.status_code == 303
    deleted = select(Course.name).where(Course.deleted_at.is_not(None))
    assert database.read(lambda c: list(c.scalars(deleted))) == ["course1"]


def test_every_form_that_changes_something_has_a_token(root_user: Caller) -> None:
    for path in PAGES:
        forms = re.findall("<form.*?</form>", page(root_user, path), re.DOTALL)
        for form in forms:
            assert ('method="post"' in form) == ('name="_xsrf"' in form), path


def test_an_empty_site_says_what_to_do_next(serve: Callable[..., Api]) -> None:
    root = serve().user("root")
    for path, said in (
        ("pages/admin", "Create the first one below"),
        ("pages/admin/people", "There is nobody yet"),
        ("pages/admin/storage", "There are no courses yet"),
        ("pages/admin/audit", "Nothing was changed yet"),
    ):
        assert said in text_of(page(root, path))


def test_long_lists_come_page_by_page(root_user: Caller, database: Database) -> None:
    names = [{"name": f"many{number:03}"} for number in range(120)]
    database.write(lambda c: c.execute(User.__table__.insert(), names))  # type: ignore[attr-defined]
    seen = []
    for number in (1, 2, 3):
        shown = page(root_user, "pages/admin/people", search="many", page=str(number))
        seen += [row[0] for row in rows(shown)]
    assert seen == [each["name"] for each in names]


def test_a_person_may_be_called_anything(root_user: Caller) -> None:
    name = "a/b c?d#e%"
    root_user.ok("POST", f"student/course1/{segment(name)}", **person("x"))
    path = f"pages/admin/people/{segment(name)}"
    assert text_of(page(root_user, path)).count(name) >= 3
    response = post(root_user, path, action="rename", new_name=name + "ü")
    assert notice(root_user, response) == f"{name} is called {name}ü now."
