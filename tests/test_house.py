"""Who may import whom, which URLs are public, and which bounds setup.py has."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ngshare
from ngshare.handlers.base import BaseHandler
from ngshare.handlers.browsers import LoginCallbackHandler, StaticHandler
from ngshare.handlers.health import HealthHandler, ReadyHandler
from ngshare.handlers.metrics import MetricsHandler
from ngshare.pages.base import NotFoundHandler
from ngshare.routes import PAGES, ROUTES, make_routes, route_name
from tests.api import Api

PACKAGE = Path(ngshare.__file__).parent
REPOSITORY = PACKAGE.parent

DOMAIN = (
    "assignments audit catalogue courses dump erasures feedback fetches limits listings mergers"
    " overviews own_courses people progress raw_rows raw_tables references removals roster_plans"
    " rosters sample storage submissions tables timelines users vitals"
)
BELOW_DOMAIN = "permissions database wire errors"

# What each part of the package may import of the others; everybody may have __version__.
MAY_IMPORT = {
    "__init__": "",
    "__main__": "app",
    "app": "service workers log_format",
    "commands": "app doctor erasures service database errors",
    "moves": (
        "audit courses limits roster_files rosters spool spreadsheets untrusted users volume"
        f" {BELOW_DOMAIN}"
    ),
    "moving_commands": "app commands limits moves service",
    "workers": "service",
    "service": (
        "handlers pages routes auth connections database fetch_log metrics readiness errors limits"
        " starting"
    ),
    "routes": "handlers pages",
    "connections": "",
    "handlers": (
        f"{DOMAIN} permissions database auth connections metrics readiness wire errors spool"
    ),
    "pages": (
        f"handlers.archives handlers.base handlers.browsers handlers.directories"
        f" handlers.sending handlers.submissions {DOMAIN}"
        f" {BELOW_DOMAIN} roster_files spreadsheets"
    ),
    "assignments": f"audit fetches limits references users {BELOW_DOMAIN}",
    "audit": f"tables {BELOW_DOMAIN}",
    "catalogue": f"tables {BELOW_DOMAIN}",
    "courses": f"assignments audit rosters users {BELOW_DOMAIN}",
    "dump": f"raw_tables {BELOW_DOMAIN}",
    "erasures": f"audit people removals {BELOW_DOMAIN}",
    "feedback": f"audit limits references submissions users {BELOW_DOMAIN}",
    "fetches": BELOW_DOMAIN,
    "limits": "database.models errors",
    "listings": BELOW_DOMAIN,
    "mergers": f"audit people {BELOW_DOMAIN}",
    "overviews": f"assignments tables {BELOW_DOMAIN}",
    "own_courses": f"assignments listings submissions tables {BELOW_DOMAIN}",
    "people": f"audit tables {BELOW_DOMAIN}",
    "progress": f"assignments tables timelines {BELOW_DOMAIN}",
    "raw_rows": f"raw_tables {BELOW_DOMAIN}",
    "raw_tables": BELOW_DOMAIN,
    "references": f"limits users {BELOW_DOMAIN}",
    "removals": f"audit submissions users {BELOW_DOMAIN}",
    "roster_plans": f"rosters {BELOW_DOMAIN}",
    "rosters": f"audit users {BELOW_DOMAIN}",
    "sample": f"assignments courses feedback submissions users {BELOW_DOMAIN}",
    "storage": BELOW_DOMAIN,
    "submissions": f"assignments audit limits references users {BELOW_DOMAIN}",
    "tables": "",
    "timelines": BELOW_DOMAIN,
    "users": BELOW_DOMAIN,
    "vitals": BELOW_DOMAIN,
    "permissions": "database.models errors",
    "auth": "permissions metrics errors",
    "fetch_log": "fetches database errors",
    "readiness": "database errors",
    "starting": "connections errors",
    "metrics": "",
    "log_format": "",
    "database": "wire errors spool",
    "migrations.env": "database.models",
    "migrations.versions": "",
    "client": "wire errors",
    "course_management": "client roster_files workplace errors",
    "doctor": "client workplace wire errors",
    "exchange": "client untrusted volume workplace wire errors",
    "roster_files": "spreadsheets errors",
    "untrusted": "wire errors",
    "volume": "untrusted wire errors",
    "workplace": "client errors",
    "wire": "errors",
    "errors": "",
    "spool": "",
    "spreadsheets": "",
}
MAY_IMPORT_OF_OTHERS = {
    "tornado": "handlers pages auth connections service starting",
    "sqlalchemy": f"commands database migrations moves permissions {DOMAIN}",
    "alembic": "database migrations",
    "jupyterhub": "handlers auth",
    "jinja2": "pages",
    "prometheus_client": "metrics",
    "traitlets": "app auth commands exchange moving_commands",
    "rich": "commands course_management exchange",
    "requests": "client",
    "urllib3": "client",
    "nbgrader": "exchange workplace",
}
SERVER_LIBRARIES = ["alembic", "jupyterhub", "sqlalchemy", "tornado"]
USERS_SIDE = ["client", "course_management", "doctor", "volume"]
STANDARD_LIBRARY_ONLY = ["__init__", "errors", "log_format", "spool", "spreadsheets"]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package, for example `handlers.base`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        yield ".".join(parts), path


MODULES = dict(modules())


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere, but for typing only."""
    found = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.removeprefix("ngshare.") in MODULES
                found.add(inner if is_module else node.module)
        if not is_type_checking(node):
            nodes.extend(ast.iter_child_nodes(node))
    return found


def ours(path: Path) -> set[str]:
    """What a file imports of the package, without the package's name."""
    names = {name for name in imports(path) if name.startswith("ngshare.")}
    return {name.removeprefix("ngshare.") for name in names}


def is_in(module: str, parts: str) -> bool:
    """Whether a module is one of some parts of the package, or inside one."""
    return any(module == part or module.startswith(f"{part}.") for part in parts.split())


def rule_of(module: str) -> str:
    """The key of MAY_IMPORT that holds for a module."""
    [key] = [key for key in MAY_IMPORT if is_in(module, key)]
    return key


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_the_house_allows(module: str) -> None:
    part = rule_of(module)
    foreign = {name for name in ours(MODULES[module]) if not is_in(name, part)}
    assert {name for name in foreign if not is_in(name, MAY_IMPORT[part])} == set()


@pytest.mark.parametrize("library", MAY_IMPORT_OF_OTHERS)
def test_a_library_is_known_only_where_it_belongs(library: str) -> None:
    users = {
        module
        for module, path in MODULES.items()
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert {name for name in users if not is_in(name, MAY_IMPORT_OF_OTHERS[library])} == set()


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ONLY)
def test_what_clients_share_needs_the_standard_library_alone(module: str) -> None:
    needed = {name.split(".")[0] for name in imports(MODULES[module])} - {"ngshare"}
    assert needed <= set(sys.stdlib_module_names)


def test_importing_the_package_loads_nothing_of_it() -> None:
    script = """
import sys
before = set(sys.modules)
import ngshare
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("['ngshare']\n", "")


@pytest.mark.parametrize("module", USERS_SIDE)
def test_users_load_nothing_of_the_server(module: str) -> None:
    script = f"""
import sys
import ngshare.{module}
print([name for name in {[*SERVER_LIBRARIES, "nbgrader"]} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_manual_names_every_part_of_the_house() -> None:
    page = (REPOSITORY / "docs/contributing.md").read_text()
    tables = "".join(line for line in page.splitlines() if line.startswith("|"))
    named = {part.strip("/") for part in re.findall(r"`([\w./]+)`", tables)}
    packages = ("", "client.", "database.", "moves.")
    parts = {name.removeprefix(start) for start in packages for name in MODULES if start in name}
    wanted = {name for name in parts if "." not in name} - {"__init__", "__main__"}
    assert wanted <= named, wanted - named
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True)
    folders = {line.partition("/")[0] for line in tracked.stdout.splitlines() if "/" in line}
    assert folders - {".ci", "ngshare"} <= named, folders - named


def test_a_resource_has_at_most_one_kind_between_itself_and_the_base() -> None:
    for _, handler in [*ROUTES, *PAGES]:
        kinds = [kind for kind in handler.__mro__ if issubclass(kind, BaseHandler)]
        assert len(kinds) <= 3, handler


def test_probes_metrics_the_logins_end_looks_and_unknown_urls_are_all_that_is_public() -> None:
    public = [(url, handler) for url, handler, _ in make_routes(["/p/"]) if handler.public]
    assert public == [
        ("/p/oauth_callback", LoginCallbackHandler),
        ("/p/healthz", HealthHandler),
        ("/p/readyz", ReadyHandler),
        ("/p/metrics", MetricsHandler),  # which asks by itself who may read
        ("/p/(favicon\\.ico)", StaticHandler),
        ("/p/(jupyterhub\\.css|ngshare\\.css|ngshare\\.js)", StaticHandler),
        ("/healthz", HealthHandler),
        ("/readyz", ReadyHandler),
    ]
    assert NotFoundHandler.public
    assert not BaseHandler.public


def test_a_program_without_a_token_is_told_to_log_in_everywhere_else(api: Api) -> None:
    for pattern, handler in [*ROUTES, *PAGES]:
        path = route_name(pattern)[1:].partition("|")[0].replace("*", "name")
        for verb in [] if handler.public else handler.allowed_verbs():
            response = api.nobody.call(verb.upper(), path)
            assert response.status_code == 401, (verb, path)
            assert response.headers["Content-Type"] == "application/json"
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="ngshare"'
            if verb != "head":
                assert response.json() == {
                    "success": False,
                    "message": "Login required",
                    "code": "login_required",
                    "request_id": response.headers["X-Request-Id"],
                }


def test_every_dependency_has_a_lower_bound_and_no_upper_one() -> None:
    tree = ast.parse((REPOSITORY / "setup.py").read_text())
    [required] = [
        ast.literal_eval(keyword.value)
        for keyword in ast.walk(tree)
        if isinstance(keyword, ast.keyword) and keyword.arg == "install_requires"
    ]
    assert required
    for requirement in required:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[\w+\])?>=\d+(\.\d+)*", requirement), requirement
