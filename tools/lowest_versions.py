"""Constraints that make pip install the lowest versions that setup.py admits.

CI runs the unit tests with them, so that setup.py can't admit what was never tried.
"""

from __future__ import annotations

import sys
from importlib.metadata import requires

from packaging.requirements import Requirement


def lowest(requirement: Requirement) -> str:
    bounds = [bound.version for bound in requirement.specifier if bound.operator == ">="]
    if len(bounds) != 1:
        sys.exit(
            f"setup.py gives no lowest version of {requirement.name}: write {requirement}>=..."
        )
    return f"{requirement.name}=={bounds[0]}"


def main() -> None:
    for line in requires("ngshare") or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": "postgresql"}):
            print(lowest(requirement))


if __name__ == "__main__":
    main()
