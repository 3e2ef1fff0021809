"""NgShareClient and what is no ngshare; tokens and URLs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ngshare.client import NgShareClient
from ngshare.errors import (
    ConnectionLost,
    ForeignAnswer,
    NgShareError,
    NotConfigured,
    ServerUnreachable,
    TooLarge,
)
from tests.neighbours import Reply, Stranger, html_reply, json_reply

Meet = Callable[..., Stranger]

REFUSING = "http://127.0.0.1:9/"  # the port discard, where nobody listens


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
