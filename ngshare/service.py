"""A running service: made from the options, serving until it is told to stop."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import random
import signal
import socket
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient
from tornado.netutil import bind_sockets
from tornado.web import Application as WebApplication

from ngshare import __version__
from ngshare.auth import HubAuthenticator, StandAloneAuthenticator, derive_key
from ngshare.connections import Server, close_idle, cut_slow_clients, drain
from ngshare.database import garbage
from ngshare.database.engine import Database, make_engine
from ngshare.database.upgrade import UpgradeError, open_database
from ngshare.errors import HubUnavailable
from ngshare.fetch_log import FetchLog
from ngshare.handlers.batches import Batches
from ngshare.handlers.browsers import read_static_files
from ngshare.handlers.directories import make_cache
from ngshare.handlers.logs import JupyterHubFilter, log_finished_call
from ngshare.limits import Limits
from ngshare.metrics import Metrics
from ngshare.pages.base import NotFoundHandler
from ngshare.readiness import Readiness
from ngshare.routes import describe, make_routes
from ngshare.starting import answering

if TYPE_CHECKING:
    from ngshare.app import NgShare

log = logging.getLogger("ngshare")

CLOSE_SECONDS = 3.0  # for what the database has begun, after the calls have ended or given up

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class StartError(Exception):
    """The service can't start; the message says what to change."""


def serve(options: NgShare) -> None:
    """Run in this process until SIGTERM or SIGINT, then finish the calls being worked on.

    Raises:
        StartError: something is missing or wrong.
    """
    sockets = prepare(options)
    if not asyncio.run(run(options, sockets, asyncio.Event())):
        logging.shutdown()
        os._exit(1)  # else Python would wait for the threads


def prepare(options: NgShare) -> list[socket.socket]:
    """Look at the options, upgrade the database, and bind the sockets to listen on.

    Leaves no thread, no event loop and no connection behind: processes may be forked afterwards.

    Raises:
        StartError: something is missing or wrong.
    """
    logging.getLogger("tornado.application").addFilter(JupyterHubFilter())
    prefix = resolve_prefix(options)
    host, port = resolve_address(options)
    make_authenticator(options, prefix)
    try:
        sockets = bind_sockets(port, host)
    except OSError as error:
        raise StartError(
            f"Can't listen on {host}:{port}: {error.strerror}; --host and --port choose another"
        ) from None
    with ExitStack() as unless_ready:
        for each in sockets:
            unless_ready.enter_context(each)
        try:
            with answering(sockets, _all_prefixes(prefix)):
                open_database(options.database, options.upgrade_db, Path(options.storage)).close()
        except UpgradeError as error:
            raise StartError(str(error)) from None
        unless_ready.pop_all()
    log.info("ngshare %s is at http://%s:%d%s", __version__, host, port, prefix)
    if options.stand_alone:
        log.warning("Stand-alone mode: no passwords, everybody may act as anybody")
    return sockets


async def run(options: NgShare, sockets: list[socket.socket], stop: asyncio.Event) -> bool:
    """Serve on bound sockets until `stop` is set or SIGTERM or SIGINT arrives, then drain.

    Returns:
        Whether nothing goes on in threads, as it does when the database hangs.
    """
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # they are blocked in a forked process
    prefix = resolve_prefix(options)
    authenticator = make_authenticator(options, prefix)
    database = Database(make_engine(options.database), many_processes=options.workers > 1)
    application = make_application(options, prefix, authenticator, database)
    calls = application.settings["calls"]
    server = Server(application)
    server.add_sockets(sockets)
    watches = [
        loop.create_task(cut_slow_clients(calls, options.slow_client_seconds)),
        loop.create_task(close_idle(server, calls)),
    ]
    if isinstance(authenticator, HubAuthenticator):
        await _greet_hub(authenticator)
    _settle_memory()
    stopping = application.settings["stopping"]
    collecting = asyncio.create_task(collect_garbage(options, database, stopping))
    await stop.wait()
    stopping.set()
    await drain(server, calls, options.drain_seconds)
    for watch in watches:
        watch.cancel()
    ends = [collecting, asyncio.create_task(application.settings["fetch_log"].close())]
    await asyncio.wait(ends, timeout=CLOSE_SECONDS)
    if not await asyncio.to_thread(database.wait_until_idle, CLOSE_SECONDS):
        log.error("The database hangs; ended without waiting for it")
        return False
    database.close()
    return True


def make_application(
    options: NgShare,
    prefix: str,
    authenticator: HubAuthenticator | StandAloneAuthenticator,
    database: Database,
) -> WebApplication:
    """The Tornado application, without a socket."""
    token = getattr(authenticator, "api_token", "") or os.urandom(16).hex()
    calls: set[Any] = set()
    worker = str(os.getpid()) if options.workers > 1 else "0"
    hub_metrics = getattr(authenticator, "metrics", None)
    queues = {
        "readers": Batches(
            database.readers, database.read_together, at_once=1 if database.is_sqlite else 2
        ),
        "writers": Batches(database.writers, database.write_together),
    }
    return WebApplication(
        make_routes(_all_prefixes(prefix)),
        default_handler_class=NotFoundHandler,
        log_function=log_finished_call,
        cookie_secret=derive_key(token, "xsrf cookies"),
        prefix=prefix,
        authenticator=authenticator,
        database=database,
        debug=False,  # Tornado's own debug mode shows tracebacks and reloads
        debug_mode=options.debug,
        max_upload_bytes=options.max_upload_bytes,
        limits=Limits(**{name: getattr(options, name) for name in Limits.__dataclass_fields__}),
        encoded_contents=make_cache(),
        read_batches=queues["readers"],
        write_batches=queues["writers"],
        static_files=read_static_files(),
        calls=calls,
        fetch_log=FetchLog(database),
        metrics=Metrics(database, calls.__len__, hub_metrics, queues, worker),
        metrics_token=options.metrics_token,
        openapi=describe(prefix, getattr(authenticator, "cookie_name", None)),
        readiness=Readiness(database),
        stopping=asyncio.Event(),
        started=datetime.now(timezone.utc),
        workers=options.workers,
    )


def resolve_prefix(options: NgShare) -> str:
    prefix = options.prefix
    if not prefix:
        prefix = "/api/" if options.stand_alone else _environment("SERVICE_PREFIX")
    if not (prefix.startswith("/") and prefix.endswith("/")):
        raise StartError(f"The prefix {prefix} must begin and end with a slash")
    for name in ("healthz", "readyz"):
        if prefix.startswith(f"/{name}/"):
            raise StartError(f"The prefix must not begin with /{name}/, where the probes look")
    return prefix


def _all_prefixes(prefix: str) -> list[str]:
    """Where a service answers that lives under prefix, for example `/hub-a/services/ngshare/`.

    Whoever calls it directly may leave out the Hub's part: ngshare 0.6 knew no other way.
    """
    hub = os.environ.get("JUPYTERHUB_BASE_URL", "/")
    return list(dict.fromkeys([prefix, prefix.removeprefix(hub.rstrip("/"))]))


def resolve_address(options: NgShare) -> tuple[str, int]:
    """Host and port to listen on."""
    if options.stand_alone:
        host = options.host or "127.0.0.1"
        if host not in LOOPBACK and not options.allow_remote_stand_alone:
            raise StartError(
                f"Stand-alone mode has no passwords, so it won't listen on {host}; "
                "--allow-remote allows it"
            )
        return host, options.port or 12121
    if options.host and options.port:
        return options.host, options.port
    url = _environment("SERVICE_URL")
    try:
        parts = urlsplit(url)
        host, port = options.host or parts.hostname, options.port or parts.port
    except ValueError:
        host, port = None, None
    if url.startswith("https:"):
        raise StartError(
            f"JUPYTERHUB_SERVICE_URL is {url}, but ngshare speaks no TLS: give the service a URL "
            "with http; the Hub's proxy is in front of it"
        )
    if not host or not port:
        raise StartError(
            f"JUPYTERHUB_SERVICE_URL is {url}: it must name a host and a port, "
            "for example http://127.0.0.1:10101"
        )
    return host, port


def make_authenticator(options: NgShare, prefix: str) -> HubAuthenticator | StandAloneAuthenticator:
    if options.stand_alone:
        return StandAloneAuthenticator(options.admins)
    timeout = options.hub_timeout_seconds
    AsyncHTTPClient.configure(  # used by jupyterhub 5; later ones have a client of their own
        None,
        max_clients=100,
        defaults={"connect_timeout": timeout, "request_timeout": timeout},
    )
    return HubAuthenticator(
        admins=options.admins,
        admin_services=options.admin_services,
        course_groups=options.course_groups,
        required_scopes=_required_scopes(options),
        identity_cache_seconds=options.identity_cache_seconds,
        hub_timeout_seconds=timeout,
        api_token=_environment("API_TOKEN"),
        api_url=options.hub_api_url or _environment("API_URL"),
        oauth_client_id=_environment("CLIENT_ID"),
        base_url=prefix,
        hub_prefix=_environment("BASE_URL").rstrip("/") + "/hub/",
    )


def _required_scopes(options: NgShare) -> set[str]:
    if not options.require_scope:
        return set()
    return {f"access:services!service={_environment('SERVICE_NAME')}"}


def _environment(name: str) -> str:
    value = os.environ.get(f"JUPYTERHUB_{name}")
    if not value:
        raise StartError(
            f"The environment variable JUPYTERHUB_{name} is not set. The Hub sets it for the "
            "services it starts; for others see the manual. --vngshare works without a Hub"
        )
    return value


def _settle_memory() -> None:
    """Before the first call, spare all later ones what costs them a fifth to a third of their time.

    What is there now stays for ever: Python need not look through it for garbage again and again.
    And what a call frees serves the next one: glibc, left alone, may give a megabyte back to the
    system after each use and get it again (see mallopt(3)).
    """
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 8 << 20)
        mallopt(M_TRIM_THRESHOLD, 32 << 20)


async def _greet_hub(authenticator: HubAuthenticator) -> None:
    try:
        await authenticator.check_own_token()
    except HubUnavailable as error:
        log.warning("%s", error.message)


async def collect_garbage(options: NgShare, database: Database, stopping: asyncio.Event) -> None:
    """Remove what nothing refers to, again and again, until the service stops.

    Other replicas may do so at the same moment, which harms nobody.
    """
    interval = options.garbage_interval_hours * 3600
    pause = random.uniform(0, interval)  # so that replicas started together don't all do so
    while interval and not await _is_set_within(stopping, pause):
        pause = interval
        removed = garbage.Removed()
        steps = garbage.collect(database, options.garbage_grace_seconds)
        try:
            while step := await asyncio.to_thread(next, steps, None):
                removed += step
                if stopping.is_set():
                    break
        except Exception:
            log.exception("Not all garbage was removed; next try in %g h", interval / 3600)
        log.info("Removed %s", removed)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return False
    return True
