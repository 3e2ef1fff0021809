"""NgShareClient where the network or the server is ill."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ngshare.client import NgShareClient
from ngshare.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    NgShareError,
    NotFound,
    ServerUnreachable,
    TimedOut,
    TooManyRequests,
)
from tests.api import Api, read_files, write_files
from tests.neighbours import Proxy, Stranger, html_reply, json_reply

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


def test_an_answer_that_stops_in_its_midst_is_a_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> socket.socket:
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            return connection

        with ThreadPoolExecutor() as threads:
            connection = threads.submit(answer)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            client = NgShareClient(url, "x", read_seconds=0.1, tries=1)
            with client, pytest.raises(TimedOut, match="silent for"):
                client.whoami()
            connection.result().close()


def test_a_host_that_does_not_answer_gets_a_second_try_and_no_third(quick: None) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):  # which is all that Linux lets wait
            client = NgShareClient(f"http://127.0.0.1:{address[1]}/", "x", connect_seconds=0.2)
            started = time.monotonic()
            with client, pytest.raises(ServerUnreachable, match="Nothing answers at"):
                client.whoami()
            assert 0.4 < time.monotonic() - started < 0.6


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
