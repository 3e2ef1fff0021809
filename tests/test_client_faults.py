"""NgShareClient where the network, the server or something in its place is ill."""

from __future__ import annotations

import os
import socket
import tarfile
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ngshare.client import NgShareClient, describe
from ngshare.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    ForeignAnswer,
    LocalFileError,
    MissingContent,
    NgShareError,
    NotConfigured,
    NotFound,
    ServerUnreachable,
    TimedOut,
    TooLarge,
    TooManyRequests,
    WrongContent,
)
from tests.api import Api, read_files, write_files
from tests.neighbours import Proxy, Reply, Stranger, html_reply, json_reply, tar_reply

Connect = Callable[..., NgShareClient]
Meet = Callable[..., Stranger]

LONG = 300 << 10  # bytes of a file that is sent by itself
REFUSING = "http://127.0.0.1:9/"  # the port discard, where nobody listens


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long clients wanted to wait before they tried again; they don't."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def assert_about(waits: list[float], wanted: list[float]) -> None:
    """Waits are as long as is wanted, or up to half as much longer."""
    assert len(waits) == len(wanted)
    assert all(least <= wait <= 1.5 * least for wait, least in zip(waits, wanted, strict=True)), (
        waits
    )


# ---- a network that fails ----


def test_an_answer_that_is_lost_after_the_submission_was_recorded_leaves_one_submission(
    course: Api, connect: Connect, proxy: Proxy, place: Path
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    files = write_files(place, {"a": b"a", "long": os.urandom(LONG)})
    proxy.cut_answers_after(0)  # that which says what is missing
    lawrence.submit("course1", "challenge", files)
    proxy.cut_answers_after(0, 10)
    receipt = lawrence.submit("course1", "challenge", files)
    assert proxy.cuts_left == 0
    submissions = lawrence.list_submissions()
    assert len(submissions) == 2
    assert submissions[1]["timestamp"] == receipt["timestamp"]


@pytest.mark.parametrize("cut", [1, 30, 100, 150, 250])
def test_an_answer_that_breaks_off_within_its_headers_is_asked_for_again(
    course: Api, connect: Connect, proxy: Proxy, cut: int
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    proxy.cut_answers_after(cut)
    assert len(lawrence.list_assignments()) == 1
    assert proxy.cuts_left == 0


def test_a_call_that_must_not_be_done_twice_is_not_repeated(
    course: Api, connect: Connect, proxy: Proxy
) -> None:
    root = connect(proxy.url, "root")
    proxy.cut_answers_after(0)
    with pytest.raises(ConnectionLost, match="broke off"):
        root.create_course("new")
    assert [each["course_id"] for each in root.list_courses()] == ["course1", "course2", "new"]
    proxy.cut_answers_after(0)
    with pytest.raises(ConnectionLost):
        root.release_assignment("new", "a", {})
    assert [each["version"] for each in root.list_assignments("new")] == [1]
    proxy.cut_answers_after(0)
    root.release_assignment("new", "a", {}, replace=True)  # which may


def test_what_was_deleted_when_the_answer_was_lost_is_deleted(
    course: Api, connect: Connect, proxy: Proxy
) -> None:
    root = connect(proxy.url, "root")
    proxy.cut_answers_after(0)
    root.remove_student("course1", "eric")
    assert len(root.list_students("course1")) == 1
    with pytest.raises(NotFound):
        root.remove_student("course1", "eric")


def test_a_download_that_breaks_off_goes_on_with_what_is_missing(
    course: Api, connect: Connect, proxy: Proxy, kevin: NgShareClient, place: Path
) -> None:
    contents = {f"{number}.bin": os.urandom(LONG) for number in range(4)}
    kevin.release_assignment("course1", "long", write_files(place / "source", contents))
    lawrence = connect(proxy.url, "lawrence")
    for cut in (0, 100, LONG + 10_000, 3 * LONG):
        proxy.cut_answers_after(None, cut)  # the list and the archive
        before = proxy.answered_bytes
        lawrence.fetch_assignment("course1", "long", place / str(cut))
        assert proxy.cuts_left == 0
        assert read_files(place / str(cut)) == contents
        assert proxy.answered_bytes - before < 5.2 * LONG


def test_a_download_that_fails_leaves_nothing(
    course: Api, connect: Connect, proxy: Proxy, kevin: NgShareClient, place: Path
) -> None:
    contents = {f"{number}.bin": os.urandom(LONG) for number in range(4)}
    kevin.release_assignment("course1", "long", write_files(place / "source", contents))
    lawrence = connect(proxy.url, "lawrence", tries=1)
    write_files(place / "there", {"mine": b"mine", "1.bin": b"old"})
    for folder in ("new", "there"):
        proxy.cut_answers_after(None, 2 * LONG)
        with pytest.raises(ConnectionLost):
            lawrence.fetch_assignment("course1", "long", place / folder)
    assert sorted(os.listdir(place)) == ["source", "there"]
    assert sorted(os.listdir(place / "there")) == ["1.bin", "mine"]
    assert read_files(place / "there") == {"mine": b"mine", "1.bin": b"old"}


def test_an_upload_that_breaks_off_is_sent_again_from_its_beginning(
    course: Api, connect: Connect, proxy: Proxy, place: Path
) -> None:
    lawrence = connect(proxy.url, "lawrence")
    files = write_files(place / "source", {"long": os.urandom(LONG)})
    proxy.cut_answers_after(None, 0)  # what is missing, and that it has come
    lawrence.submit("course1", "challenge", files)
    assert proxy.cuts_left == 0
    assert 2 * LONG < proxy.sent_bytes < 2.1 * LONG
    lawrence.fetch_submission("course1", "challenge", "lawrence", None, place / "fetched")
    assert read_files(place / "fetched") == {"long": files["long"].read_bytes()}


def test_where_nothing_listens_is_told_after_some_tries(waits: list[float]) -> None:
    with NgShareClient(REFUSING, "x") as client, pytest.raises(ServerUnreachable) as caught:
        client.whoami()
    assert caught.value.message == f"Nothing listens at {REFUSING}"
    assert_about(waits, [0.5, 1, 2, 4])
    assert not client.is_alive()


def test_a_silent_server_gets_a_second_try_and_no_third(quick: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        client = NgShareClient(url, "x", read_seconds=0.1)
        with client, pytest.raises(TimedOut, match=r"silent for 0\.1 seconds"):
            client.whoami()
        listener.settimeout(0.1)
        for _ in range(2):
            listener.accept()[0].close()
        with pytest.raises(TimeoutError):
            listener.accept()


def test_an_answer_that_stops_in_its_midst_is_a_time_out(quick: None) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = []

        def answer() -> None:
            for _ in range(2):
                connections.append(listener.accept()[0])
                connections[-1].sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        client = NgShareClient(url, "x", read_seconds=0.1)
        with client, pytest.raises(TimedOut, match="silent for"):
            client.whoami()
        thread.join()
        for connection in connections:
            connection.close()


def test_a_host_that_does_not_answer_gets_a_second_try_and_no_third(quick: None) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):  # which is all that Linux lets wait
            client = NgShareClient(f"http://127.0.0.1:{address[1]}/", "x", connect_seconds=0.2)
            started = time.monotonic()
            with client, pytest.raises(ServerUnreachable, match="Nothing answers at"):
                client.whoami()
            assert 0.4 < time.monotonic() - started < 0.6


# ---- a server or a proxy that is ill ----


def test_a_server_that_says_when_to_come_back_is_obeyed(meet: Meet, waits: list[float]) -> None:
    busy = {"Retry-After": "7"}
    stranger = meet(
        json_reply(503, busy, message="The database is away", code="database_unavailable"),
        html_reply(503, **{"Retry-After": "3"}),
        json_reply(429, {"Retry-After": "1"}, message="Too many"),
        json_reply(username="kevin"),
    )
    with NgShareClient(stranger.url, "x") as client:
        assert client.whoami() == {"username": "kevin"}
    assert_about(waits, [7, 3, 1])


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_wants_to_be_left_alone_for_long_is(
    meet: Meet, waits: list[float], status: int
) -> None:
    away = json_reply(status, {"Retry-After": "31"}, message="Come back")
    stranger = meet(away)
    with NgShareClient(stranger.url, "x") as client, pytest.raises(NgShareError) as caught:
        client.whoami()
    assert (caught.value.status, caught.value.retry_after_seconds) == (status, 31)
    assert (len(stranger.calls), waits) == (1, [])


def test_too_many_submissions_for_good_are_not_tried_again(meet: Meet, waits: list[float]) -> None:
    stranger = meet(json_reply(429, message="There are 1,000 submissions"))
    with NgShareClient(stranger.url, "x") as client, pytest.raises(TooManyRequests):
        client.submit("c", "a", {})
    assert (len(stranger.calls), waits) == (1, [])


def test_a_proxy_that_may_have_passed_it_on_is_not_asked_twice(meet: Meet, quick: None) -> None:
    stranger = meet(html_reply(504))
    with NgShareClient(stranger.url, "x") as client:
        with pytest.raises(ServerUnreachable):
            client.create_course("c")
        assert len(stranger.calls) == 1
        with pytest.raises(ServerUnreachable):
            client.whoami()
        assert len(stranger.calls) == 1 + 5


def test_a_database_that_may_have_done_it_is_not_asked_twice(meet: Meet, quick: None) -> None:
    lost = json_reply(503, message="The database is away", code="database_unavailable")
    stranger = meet(lost)
    with NgShareClient(stranger.url, "x") as client:
        with pytest.raises(DatabaseUnavailable):
            client.create_course("c")
        assert len(stranger.calls) == 1
        with pytest.raises(DatabaseUnavailable):
            client.submit("c", "a", {})
        assert len(stranger.calls) == 1 + 5
    keys = {headers["Idempotency-Key"] for _, _, headers in stranger.calls[1:]}
    assert len(keys) == 1
    assert len(set(stranger.bodies[1:])) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (html_reply(), ForeignAnswer, "is no ngshare: it answers 200 OK, text/html"),
        (html_reply(404), ForeignAnswer, "is no ngshare: it answers 404 Not Found, text/html"),
        (html_reply(302, Location="/hub/login"), ForeignAnswer, "redirects to /hub/login"),
        (html_reply(503), ServerUnreachable, "the proxy runs, but ngshare does not answer it"),
        (html_reply(413), TooLarge, "A proxy before ngshare refuses"),
        (Reply(b"[]"), ForeignAnswer, "is no ngshare"),
        (Reply(b'{"success": true'), ForeignAnswer, "is no ngshare"),
        (Reply(b'{"success": "\xff"}'), ForeignAnswer, "is no ngshare"),
        (Reply(b'{"status": 404, "message": "x"}', 404), ForeignAnswer, "is no ngshare"),
        (Reply(b'{"success": false}', 404), ForeignAnswer, "newer is needed"),
        (Reply(b'{"success": true}', 201), ForeignAnswer, "is no ngshare"),
        (Reply(b""), ForeignAnswer, "is no ngshare"),
        (Reply(b"[" * 100_000), ForeignAnswer, "is no ngshare"),
        (Reply(b"no gzip" * 9, headers={"Content-Encoding": "gzip"}), ConnectionLost, "broke off"),
    ],
)
def test_what_is_no_answer_of_ngshare_is_told(
    meet: Meet, quick: None, reply: Reply, kind: type[NgShareError], message: str
) -> None:
    client = NgShareClient(meet(reply).url, "x", tries=2)
    with client, pytest.raises(kind, match=message):
        client.whoami()


def test_a_server_that_is_too_old_is_told(meet: Meet) -> None:
    stranger = meet(json_reply(courses=["c"], files=[{"path": "a", "checksum": "0"}]))
    with NgShareClient(stranger.url, "x") as client:
        with pytest.raises(ForeignAnswer, match="no 'details'"):
            client.list_courses()
        with pytest.raises(ForeignAnswer, match="list of files is not as"):
            client.fetch_assignment("c", "a", Path("unused"))
    assert not Path("unused").exists()


def test_what_is_no_http_is_a_lost_connection(quick: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def chat() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.org ESMTP\r\n\r\n")

        thread = threading.Thread(target=chat)
        thread.start()
        with NgShareClient(url, "x", tries=1) as client, pytest.raises(ConnectionLost):
            client.whoami()
        thread.join()


@pytest.mark.parametrize(
    "url",
    ["", "hub", "hub/services/ngshare", "ftp://hub/", "http://", "http://[x", "http://a/?b", "/x"],
)
def test_what_is_no_url_is_not_called(url: str) -> None:
    with pytest.raises(NotConfigured, match="is no URL of an ngshare"):
        NgShareClient(url, "x")


@pytest.mark.parametrize("url", ["http://a b/", "http://.x./", "http://x:99999/", "http://*/"])
def test_nothing_but_ngshares_errors_come_of_odd_urls(url: str) -> None:
    with pytest.raises((NotConfigured, ServerUnreachable)):
        NgShareClient(url, "x", tries=1, connect_seconds=2).whoami()


def test_a_server_that_can_not_be_trusted_is_told(meet: Meet) -> None:
    url = meet(json_reply()).url.replace("http:", "https:")  # though it speaks no TLS
    with NgShareClient(url, "x") as client, pytest.raises(NotConfigured, match="can't be trusted"):
        client.whoami()


# ---- tokens ----


def test_the_token_is_that_of_the_environment(
    meet: Meet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = meet(json_reply())
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "from-the-hub\n")
    for options in ({}, {"token": "given"}, {"user": "mia"}):
        with NgShareClient(stranger.url, **options) as client:
            client.whoami()
    tokens = [headers.get("Authorization") for _, _, headers in stranger.calls]
    assert tokens == ["token from-the-hub", "token given", None]
    assert stranger.calls[2][1].endswith("?user=mia")


@pytest.mark.parametrize("token", ["a\nb", "tökén", "😀"])
def test_a_token_that_no_header_can_hold_is_told(token: str) -> None:
    with pytest.raises(NotConfigured, match="token"):
        NgShareClient(REFUSING, token)


def test_cookies_of_a_server_are_not_kept(meet: Meet) -> None:
    stranger = meet(json_reply(headers={"Set-Cookie": "a=b; Path=/"}))
    with NgShareClient(stranger.url, "x") as client:
        client.whoami()
        client.whoami()
    assert "Cookie" not in stranger.calls[1][2]


# ---- files that change or lie ----


@pytest.mark.parametrize("changed", [b"1" * LONG, b"short", bytes(LONG + 1), bytes(3 * LONG)])
def test_a_file_that_changes_while_it_is_sent_is_told(
    meet: Meet, place: Path, changed: bytes
) -> None:
    file = place / "long"
    file.write_bytes(bytes(LONG))
    digests = [sha256(bytes(LONG)).hexdigest()]

    def change(verb: str, path: str) -> Reply:
        if verb == "POST":
            file.write_bytes(changed)
        return json_reply(409, message="Missing", code="missing_content", missing=digests)

    stranger = meet(reply=change)
    client = NgShareClient(stranger.url, "x", tries=1)
    with client, pytest.raises(LocalFileError, match="long changed while it was sent"):
        client.submit("c", "a", {"long": file})
    assert [verb for verb, _, _ in stranger.calls].count("POST") == 1


def test_a_server_that_never_has_enough_is_left(meet: Meet, place: Path) -> None:
    files = write_files(place, {"long": os.urandom(LONG)})
    digest = describe(files)[0]["sha256"]
    refusal = {"message": "Missing", "code": "missing_content"}
    stranger = meet(
        reply=lambda verb, path: (
            json_reply(409, **refusal, missing=[digest]) if verb == "POST" else json_reply(size=1)
        )
    )
    with NgShareClient(stranger.url, "x") as client, pytest.raises(MissingContent):
        client.submit("c", "a", files)
    assert [verb for verb, _, _ in stranger.calls] == ["POST", "PUT", "POST", "PUT", "POST"]
    stranger = meet(json_reply(409, **refusal, missing=["00"]))
    with NgShareClient(stranger.url, "x") as client, pytest.raises(MissingContent):
        client.submit("c", "a", files)
    assert len(stranger.calls) == 1


def file_member(path: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.size = len(content)
    return member, content


def odd_member(path: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.type, member.linkname = kind, target
    return member, b""


def sparse_member(path: str, map_of_it: str) -> tuple[tarfile.TarInfo, bytes]:
    member, content = file_member(path, b"good")
    member.pax_headers = {"GNU.sparse.map": map_of_it, "GNU.sparse.size": "4"}
    return member, content


GOOD = file_member("a", b"good")
ODD = "is not as announced"
HOSTILE = {
    "parent": (b"good", ODD, [file_member("../outside/a", b"good")]),
    "absolute": (b"good", ODD, [file_member("/tmp/outside", b"good")]),
    "unknown": (b"good", ODD, [GOOD, file_member("b", b"good")]),
    "symbolic link": (b"", ODD, [odd_member("a", tarfile.SYMTYPE, "../outside/precious")]),
    "link out, then a file": (
        b"good",
        ODD,
        [odd_member("d", tarfile.SYMTYPE, "../outside"), file_member("d/precious", b"good")],
    ),
    "hard link": (b"", ODD, [odd_member("a", tarfile.LNKTYPE, "../outside/precious")]),
    "device": (b"", ODD, [odd_member("a", tarfile.CHRTYPE)]),
    "pipe": (b"", ODD, [odd_member("a", tarfile.FIFOTYPE)]),
    "folder": (b"", ODD, [odd_member("a", tarfile.DIRTYPE)]),
    "sparse": (b"good", ODD, [sparse_member("a", "0,4")]),
    "nonsense": (b"good", "is damaged", [sparse_member("a", "x")]),
    "longer": (b"good", ODD, [file_member("a", b"good and more")]),
    "shorter": (b"good", ODD, [file_member("a", b"goo")]),
    "other content": (b"good", "SHA-256 is wrong", [file_member("a", b"evil")]),
    "empty": (b"good", "lacks 'a'", []),
}


@pytest.mark.parametrize(("announced", "message", "members"), HOSTILE.values(), ids=HOSTILE)
def test_an_archive_can_hold_nothing_but_what_was_announced(
    meet: Meet,
    place: Path,
    announced: bytes,
    message: str,
    members: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    write_files(place / "outside", {"precious": b"precious"})
    entry = {"path": "a", "size": len(announced), "sha256": sha256(announced).hexdigest()}
    stranger = meet(json_reply(files=[entry]), tar_reply(members))
    client = NgShareClient(stranger.url, "x", tries=1)
    with client, pytest.raises(WrongContent, match=message):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == ["outside"]
    assert read_files(place / "outside") == {"precious": b"precious"}


@pytest.mark.parametrize("cut", [0, 1, 511, 513, 516, 1023])
def test_an_archive_that_ends_too_early_is_told(meet: Meet, place: Path, cut: int) -> None:
    manifest = [
        {"path": path, "size": 600, "sha256": sha256(bytes(600)).hexdigest()} for path in "ab"
    ]
    reply = tar_reply([file_member("a", bytes(600)), file_member("b", bytes(600))])
    reply.body = reply.body[:cut]
    stranger = meet(json_reply(files=manifest), reply)
    with NgShareClient(stranger.url, "x", tries=1) as client, pytest.raises(WrongContent):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == []


def test_noise_in_place_of_an_archive_is_told(meet: Meet, place: Path) -> None:
    manifest = json_reply(files=[{"path": "a", "size": 4, "sha256": sha256(b"good").hexdigest()}])
    for noise in (os.urandom(5000), b"0" * 5000, b"\x00" * 5000, b"x" * 512 + b"\xff" * 4000):
        archive = Reply(noise, headers={"Content-Type": "application/x-tar"})
        client = NgShareClient(meet(manifest, archive).url, "x", tries=1)
        with client, pytest.raises(WrongContent):
            client.fetch_assignment("c", "a", place / "folder")
    client = NgShareClient(meet(manifest, html_reply()).url, "x", tries=1)
    with client, pytest.raises(ForeignAnswer, match="no archive"):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == []


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b", "", "a\\b", "C:a", "a\nb"])
def test_a_manifest_that_leads_out_of_the_folder_is_refused(
    meet: Meet, place: Path, path: str
) -> None:
    entry = {"path": path, "size": 4, "sha256": sha256(b"good").hexdigest()}
    stranger = meet(json_reply(files=[entry]), tar_reply([file_member(path, b"good")]))
    with NgShareClient(stranger.url, "x", tries=1) as client, pytest.raises(WrongContent):
        client.fetch_assignment("c", "a", place / "folder")
    assert os.listdir(place) == []


def test_a_release_between_the_list_and_the_files_is_fetched_whole(meet: Meet, place: Path) -> None:
    old, new = (
        json_reply(files=[{"path": "a", "size": 3, "sha256": sha256(content).hexdigest()}])
        for content in (b"old", b"new")
    )
    archive = tar_reply([file_member("a", b"new")])
    stranger = meet(old, archive, new, archive)
    with NgShareClient(stranger.url, "x") as client:
        client.fetch_assignment("c", "a", place)
    assert read_files(place) == {"a": b"new"}


def test_the_latest_submission_is_the_same_in_the_list_and_in_the_files(
    meet: Meet, place: Path
) -> None:
    entry = {"path": "a", "size": 4, "sha256": sha256(b"good").hexdigest()}
    manifest = json_reply(files=[entry], timestamp="2020-01-30 10:30:47.524219 UTC")
    stranger = meet(manifest, tar_reply([GOOD]))
    with NgShareClient(stranger.url, "x") as client:
        client.fetch_submission("c", "a", "mia", None, place)
    asked = [parse_qs(urlsplit(path).query) for _, path, _ in stranger.calls]
    assert asked == [
        {"list_only": ["true"]},
        {"timestamp": ["2020-01-30 10:30:47.524219 UTC"]},
    ]
