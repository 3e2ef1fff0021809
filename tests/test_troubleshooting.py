"""The manual's page on troubleshooting has every message, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ngshare import errors

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/troubleshooting.md"
# Of calls of these, and of the error classes, the first argument is a message; of some the second.
SAYING = {"advise", "complain", "critical", "error", "exception", "fail", "fail_not_found"}
SAYING |= {"_fail", "warning", "BackupError", "DamagedArchive", "StartError", "TakeOverError"}
SAYING |= {"UpgradeError", "ValueError"}
SAYING |= {"JupyterhubEnvironmentError", "RuntimeError", "__init__"}
SAYING |= {name for name, value in vars(errors).items() if isinstance(value, type)}
SECOND = {"fail_if_any", "log"}
# What these return is one, too.
ANSWERING = {"explain", "_describe", "obstacle", "_look"}
OUR_OWN_MISTAKES = {"The spool is closed"}

Constants = dict[str, ast.expr]


def readings(node: ast.expr | None, constants: Constants) -> list[str]:
    """The texts that an expression can be, `...` standing for what is known later."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [re.sub(r"%[.0-9]*[a-z]", "...", node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [readings(part, {}) or ["..."] for part in node.values]
        return ["".join(part[0] for part in parts)]
    if isinstance(node, ast.BinOp):
        left, right = (readings(side, constants) or ["..."] for side in (node.left, node.right))
        return [one + other for one in left for other in right]
    if isinstance(node, ast.IfExp):
        return readings(node.body, constants) + readings(node.orelse, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        return readings(constants[node.id], {})
    return []


def told(node: ast.AST) -> Iterator[ast.expr | None]:
    """The expressions in a piece of code that somebody will read."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
        yield from node.args[:1] if name in SAYING else ()
        yield from node.args[1:2] if name in SECOND else ()
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in ANSWERING:
        yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Return))
    elif isinstance(node, ast.Assign) and "message" in ast.unparse(node.targets[0]):
        yield node.value


def messages() -> dict[str, str]:
    """Every message in ngshare's code, with where it is."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / "ngshare").rglob("*.py")):
        tree = ast.parse(file.read_text())
        constants = {
            statement.targets[0].id: statement.value
            for statement in tree.body
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            for expression in told(node):
                for text in readings(expression, constants):
                    if " " in text and re.search("[A-Za-z]{3}", text):
                        found[text] = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
    return found


def test_the_page_on_troubleshooting_has_every_message_and_no_other() -> None:
    lines = [
        line.replace("\\", "")
        for line in PAGE.read_text().splitlines()
        if line.startswith(("*", "- *"))
    ]
    explained = [text for line in lines for text in re.findall(r"(?:^|- |, )\*(.+?)\*", line)]
    assert len(explained) == len(set(explained))
    found = messages()
    assert len(found) > 200
    missing = {text: place for text, place in found.items() if text not in explained}
    assert not set(missing) - OUR_OWN_MISTAKES, missing
    assert not set(explained) - set(found)
