"""Ports of 127.0.0.1 for servers that tests start."""

from __future__ import annotations

import socket

_reserved: list[socket.socket] = []


def reserve_port() -> int:
    """A port that no other test is given, in no process, until this process ends.

    Its socket stays bound but never listens. With SO_REUSEADDR, which servers set, another one may
    bind the same port and listen, while the kernel gives it to nobody who asks for any port: of
    those there are 14,000, so tests that run in parallel would now and then meet each other's
    servers.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    _reserved.append(reserved)
    return reserved.getsockname()[1]
