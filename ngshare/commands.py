"""What `ngshare` does besides serving: one class a subcommand.

Each inherits the options of the service, so that all of them read one configuration file.
"""

from __future__ import annotations

import sys

from ngshare.app import NgShare
from ngshare.database.engine import Database
from ngshare.database.upgrade import UpgradeError, open_database
from ngshare.service import StartError


class Command(NgShare):
    """A subcommand: work on the database, then exit."""

    subcommands = {}

    def start(self) -> None:
        if self.generate_config:
            super().start()
            return
        self.set_up_logging()
        self.run()

    def run(self) -> None:
        raise NotImplementedError

    def open(self, may_upgrade: bool = False) -> Database:
        """The site's database.

        Raises:
            StartError: it can't be used as it is.
        """
        try:
            return open_database(self.database, may_upgrade=may_upgrade)
        except UpgradeError as error:
            raise StartError(str(error)) from None


class UpgradeDb(Command):
    """Bring the database to the schema of this release, and exit."""

    name = "ngshare upgrade-db"
    description = "Bring the database to the schema of this release, and exit."
    examples = "ngshare upgrade-db --database sqlite:////srv/ngshare/ngshare.db"

    def run(self) -> None:
        self.open(may_upgrade=True).close()
        print("The database has the schema of this release", file=sys.stderr)
