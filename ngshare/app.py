"""The service: its options, its start, its end."""

from __future__ import annotations

import logging
import os
import signal
import sys

from traitlets import Bool, Float, Integer, List, Unicode, default
from traitlets.config import Application, catch_config_error

from ngshare import __version__
from ngshare.log_format import PLAIN, PLAIN_OF_SEVERAL, JsonFormatter
from ngshare.service import StartError, serve
from ngshare.workers import supervise


class CommaList(List):
    """Names: a list in a configuration file, `a,b` on the command line."""

    def from_string_list(self, values: list[str]) -> list[str]:
        names = (name.strip() for value in values for name in value.split(","))
        return [name for name in names if name]


class NgShare(Application):
    """Runs as a service of a JupyterHub, or stand-alone for trying it."""

    name = "ngshare"
    raise_config_file_errors = True
    version = __version__
    description = "nbgrader's exchange as a JupyterHub service."
    examples = """
        As a service that the Hub starts, in jupyterhub_config.py:

            c.JupyterHub.services.append({
                "name": "ngshare",
                "url": "http://127.0.0.1:10101",
                "command": ["ngshare", "--admins", "alice,bob"],
                "oauth_no_confirm": True,
            })

        To try it without a Hub:

            ngshare --vngshare --database sqlite:////tmp/ngshare.db --admins root
    """

    database = Unicode(
        "sqlite:////srv/ngshare/ngshare.db",
        help="""Where everything is kept: sqlite:////path/to/file, or
        postgresql://user:password@host/name (install ngshare[postgresql] for that). Several
        processes may share it: those of `workers`, and on PostgreSQL those of other machines.
        Taken from the environment variable NGSHARE_DATABASE if not given, which is better for a
        URL with a password than the command line: that can be read by everybody on the machine.""",
    ).tag(config=True)

    storage = Unicode(
        "/srv/ngshare/files/",
        help="""The folder in which ngshare 0.5 and 0.6 kept files. It is read when their database
        is taken over; ngshare 1.0 keeps files in the database.""",
    ).tag(config=True)

    admins = CommaList(
        Unicode(),
        help="""Names of users who may do everything: create and delete courses, appoint
        instructors, and all that instructors may do in every course. On the command line
        separated by commas.""",
    ).tag(config=True)

    admin_services = CommaList(
        Unicode(),
        help="""Names of services of the Hub that may do what admins may. Any other service
        token is recognised and may do nothing, whatever users of the same name may do.""",
    ).tag(config=True)

    course_groups = Bool(
        False,
        help="""Let groups of the Hub give roles, beside the roster: whoever is in the group
        formgrade-COURSE is an instructor of COURSE, whoever is in nbgrader-COURSE a student. These
        are the names that nbgrader's own authenticator uses. Lists of students have only
        those in the roster. Whoever leaves a group keeps the role for identity_cache_seconds.""",
    ).tag(config=True)

    require_scope = Bool(
        False,
        help="""Accept only tokens that hold the scope access:services!service=NAME (NAME as the
        Hub calls this service), instead of every token of a user of this Hub. A stock Hub gives
        that scope neither to users' tokens nor to notebook servers: its configuration must
        grant it.""",
    ).tag(config=True)

    identity_cache_seconds = Integer(
        60,
        min=0,
        help="""How long the Hub's answer to "whose token is this" is believed. A token that is
        revoked works on for at most so long; a longer time spares the Hub.""",
    ).tag(config=True)

    hub_timeout_seconds = Float(
        10.0,
        help="""How long to wait for the Hub before a call ends with 503. Calls whose token is
        known already don't wait for the Hub.""",
    ).tag(config=True)

    hub_api_url = Unicode(
        help="""URL of the Hub's API, for example http://hub:8081/hub/api. Taken from the
        environment variable JUPYTERHUB_API_URL, which the Hub sets, if not given.""",
    ).tag(config=True)

    prefix = Unicode(
        help="""The part of the URL under which the service lives; begins and ends with a slash.
        Taken from JUPYTERHUB_SERVICE_PREFIX if not given; stand-alone it is /api/.""",
    ).tag(config=True)

    host = Unicode(
        help="""The address to listen on. Taken from JUPYTERHUB_SERVICE_URL if not given;
        stand-alone it is 127.0.0.1.""",
    ).tag(config=True)

    port = Integer(
        0,
        help="""The port to listen on. Taken from JUPYTERHUB_SERVICE_URL if not given;
        stand-alone it is 12121.""",
    ).tag(config=True)

    stand_alone = Bool(
        False,
        help="""Work without a Hub, for trying and testing: there are no passwords, everybody is
        who the parameter `user` says.""",
    ).tag(config=True)

    allow_remote_stand_alone = Bool(
        False,
        help="""Let the stand-alone mode listen on other addresses than this machine's own.
        Whoever reaches it may read and change everything.""",
    ).tag(config=True)

    debug = Bool(
        False,
        help="""Log more, and let everybody who is logged in dump, fill and clear the database by
        a URL. Never on a site in use.""",
    ).tag(config=True)

    upgrade_db = Bool(
        True,
        help="""Upgrade the database's schema at the start, if an earlier release wrote it.
        Otherwise the service refuses to start on an old schema.""",
    ).tag(config=True)

    max_upload_bytes = Integer(
        512 << 20,
        min=1024,
        help="""The longest body that a call may have. Encoded files are about 1.4 times as long
        as the files themselves. Uploads wait in the folder for temporary files (TMPDIR), which
        needs room for a few of them.""",
    ).tag(config=True)

    max_file_bytes = Integer(
        128 << 20,
        min=0,
        help="""The longest file of an assignment, a submission or feedback; 0 for any.""",
    ).tag(config=True)

    max_submission_bytes = Integer(
        256 << 20,
        min=0,
        help="""How many bytes all files of an assignment, a submission or feedback may have
        together; 0 for any number.""",
    ).tag(config=True)

    max_files = Integer(
        10_000,
        min=0,
        help="""How many files an assignment, a submission or feedback may have; 0 for any
        number.""",
    ).tag(config=True)

    max_course_bytes = Integer(
        0,
        min=0,
        help="""The quota of a course: how many bytes all its assignments, submissions and
        feedback may have together, before compression; equal directories count once. Several
        uploads at the same moment may exceed it by their own size. 0 for any number.""",
    ).tag(config=True)

    max_submissions = Integer(
        1000,
        min=0,
        help="""How many submissions to one assignment are kept of a user. None is ever removed
        to make room: who has so many can't submit to the assignment any more, unless an
        instructor removes some. 0 for any number.""",
    ).tag(config=True)

    max_submissions_per_minute = Integer(
        30,
        min=0,
        help="""How often a user may submit to one assignment within a minute; 0 for any
        number.""",
    ).tag(config=True)

    drain_seconds = Float(
        25.0,
        help="""How long to wait, when told to stop, for calls that are being worked on.""",
    ).tag(config=True)

    metrics_token = Unicode(
        help="""A secret that Prometheus may show (`Authorization: Bearer SECRET`) to read
        metrics, as admins and direct calls from this machine may without it. Taken from the
        environment variable NGSHARE_METRICS_TOKEN if not given, which is better than the command
        line: that can be read by everybody on the machine.""",
    ).tag(config=True)

    log_json = Bool(
        False,
        help="""Write every line of the log as one JSON object, for programs that collect logs.""",
    ).tag(config=True)

    garbage_interval_hours = Float(
        24.0,
        min=0,
        help="""How often the running service removes what nothing refers to any more, such as
        feedback that was replaced; 0 for never. The first run is at a random moment within
        the first interval. `ngshare collect-garbage` does it at once.""",
    ).tag(config=True)

    garbage_grace_seconds = Float(
        3600.0,
        min=0,
        help="""How long bytes that nothing refers to are kept: longer than any download takes,
        and than a program waits between sending bytes and referring to them.""",
    ).tag(config=True)

    slow_client_seconds = Float(
        60.0,
        min=1.0,
        help="""A client that sends its request, or takes its answer, at less than 1 KiB a second
        on average over so many seconds is disconnected. The time that ngshare itself, the
        database or the Hub takes does not count.""",
    ).tag(config=True)

    workers = Integer(
        1,
        min=1,
        help="""How many processes serve, on one address and one database. One process uses little
        more than one CPU. Each has its own connections to the database. One that dies is
        replaced.""",
    ).tag(config=True)

    config_file = Unicode("ngshare_config.py", help="The configuration file to read.").tag(
        config=True
    )

    generate_config = Bool(
        False, help="Write a configuration file with every option, and exit."
    ).tag(config=True)

    @default("database")
    def _database(self) -> str:
        given = os.environ.get("NGSHARE_DATABASE", "").strip()
        return given or str(NgShare.database.default_value)

    @default("metrics_token")
    def _metrics_token(self) -> str:
        return os.environ.get("NGSHARE_METRICS_TOKEN", "").strip()

    max_arguments = 0  # how many a subcommand takes beside its options

    @default("log_level")
    def _log_level(self) -> int:
        return logging.INFO

    subcommands = {
        "backup": ("ngshare.commands.Backup", "Copy the database while the service runs."),
        "check": ("ngshare.commands.Check", "Verify that all that was stored is there."),
        "collect-garbage": (
            "ngshare.commands.CollectGarbage",
            "Remove what nothing refers to any more.",
        ),
        "doctor": ("ngshare.commands.Doctor", "Tell what is wrong with this user's environment."),
        "erase-person": (
            "ngshare.commands.ErasePerson",
            "Erase a person with all that was handed in.",
        ),
        "export-course": ("ngshare.moving_commands.ExportCourse", "Write a course to an archive."),
        "export-exchange": (
            "ngshare.moving_commands.ExportExchange",
            "Write all courses as an exchange directory of nbgrader.",
        ),
        "import-course": ("ngshare.moving_commands.ImportCourse", "Make a course of an archive."),
        "import-exchange": (
            "ngshare.moving_commands.ImportExchange",
            "Add what is in an exchange directory of nbgrader.",
        ),
        "upgrade-db": ("ngshare.commands.UpgradeDb", "Upgrade the database's schema, and exit."),
    }
    aliases = {
        "config": "NgShare.config_file",
        "database": "NgShare.database",
        "storage": "NgShare.storage",
        "admins": "NgShare.admins",
        "admin-services": "NgShare.admin_services",
        "jupyterhub_api_url": "NgShare.hub_api_url",
        "prefix": "NgShare.prefix",
        "host": "NgShare.host",
        "port": "NgShare.port",
        "workers": "NgShare.workers",
        "log-level": "Application.log_level",
    }
    flags = {
        "debug": (
            {"NgShare": {"debug": True}, "Application": {"log_level": "DEBUG"}},
            "Enable debug mode; see NgShare.debug.",
        ),
        "no-upgrade-db": (
            {"NgShare": {"upgrade_db": False}},
            "Refuse to start on an old schema instead of upgrading it.",
        ),
        "vngshare": (
            {"NgShare": {"stand_alone": True}},
            "Stand-alone mode, for trying ngshare without a Hub.",
        ),
        "allow-remote": (
            {"NgShare": {"allow_remote_stand_alone": True}},
            "With --vngshare: may listen on any address.",
        ),
        "course-groups": (
            {"NgShare": {"course_groups": True}},
            "Let groups of the Hub make instructors and students.",
        ),
        "require-scope": (
            {"NgShare": {"require_scope": True}},
            "Accept only tokens with the scope to access this service.",
        ),
        "log-json": (
            {"NgShare": {"log_json": True}},
            "Write every line of the log as one JSON object.",
        ),
        "generate-config": (
            {"NgShare": {"generate_config": True}},
            "Write a configuration file with every option, and exit.",
        ),
    }

    @catch_config_error
    def initialize(self, argv: list[str] | None = None) -> None:
        self.parse_command_line(argv)
        if self.subapp is not None:
            return
        if unknown := self.extra_args[self.max_arguments :]:
            raise StartError(f"Unknown arguments: {' '.join(unknown)}; see {self.name} --help")
        if self.generate_config:
            return
        given = "config_file" in self.cli_config.get("NgShare", {})
        if given and not os.path.isfile(self.config_file):
            raise StartError(f"There is no configuration file {self.config_file}")
        if not self.config_file.endswith((".py", ".json")):
            raise StartError(f"The configuration file {self.config_file} must end in .py or .json")
        try:
            self.load_config_file(os.path.abspath(self.config_file))
        except Exception as error:
            raise StartError(
                f"The configuration file {self.config_file} fails: {error!r}"
            ) from None

    def start(self) -> None:
        if self.subapp is not None:
            self.subapp.start()
        elif self.generate_config:
            self._write_config()
        else:
            self.set_up_logging()
            if self.workers > 1:
                supervise(self)
            else:
                serve(self)

    def set_up_logging(self) -> None:
        plain = PLAIN_OF_SEVERAL if self.workers > 1 else PLAIN
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter() if self.log_json else logging.Formatter(plain))
        logging.basicConfig(level=self.log_level, handlers=[handler])
        logging.getLogger("alembic").setLevel(logging.WARNING)
        # What no format of ours shows need not be found out for every line.
        logging.logThreads = logging.logMultiprocessing = False

    def _write_config(self) -> None:
        if os.path.exists(self.config_file):
            raise StartError(f"{self.config_file} exists; it was left as it is")
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(self.generate_config_file())
        print(f"Wrote {self.config_file}")


def main(argv: list[str] | None = None) -> None:
    """The command `ngshare`."""
    app = NgShare()
    try:
        app.initialize(argv)
        app.start()
    except StartError as error:
        print(f"ngshare: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # how the Hub stops a service, among others
        print("ngshare: interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
