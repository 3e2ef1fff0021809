"""formgrader's page "Manage Students", so that it reaches the server."""

from __future__ import annotations

import sys
from typing import Any

from nbgrader.auth import Authenticator
from nbgrader.exchange import ExchangeFactory

from ngshare.exchange.auth import NgshareAuthPlugin
from ngshare.exchange.base import Exchange

HANDLERS = "nbgrader.server_extensions.formgrader.base"


def complete_formgrader() -> None:
    """Give formgrader's gradebook the authenticator that nbgrader's manual promises it.

    nbgrader's Gradebook tells its authenticator whom it adds and removes; formgrader makes its
    gradebook without one (https://github.com/jupyter/nbgrader/issues/1304), and so "Manage
    Students" changes nobody's access. This fills in what is left out, where the gradebook is
    handed to the handlers of the pages. It is the least that can break with another nbgrader:

    - only the property `gradebook` of the handlers' base class is wrapped, and only read from;
      its gradebook gets the public attribute `authenticator`, if it still has none. A nbgrader
      that sets it is left alone;
    - to replace handlers would copy their checks of logins and XSRF, and would depend on which
      server extension is loaded first; to listen to the gradebook's tables would also enrol
      whoever is autograded; to compare rosters now and then could not tell who was removed on
      purpose.

    It is called by configure_exchange, that is whenever nbgrader_config.py is read, and does
    nothing where formgrader is not loaded. Formgraders of courses that use another exchange are
    left as they are.
    """
    handlers = sys.modules.get(HANDLERS)
    if handlers is None or isinstance(handlers.BaseHandler.gradebook, _Gradebook):
        return
    handlers.BaseHandler.gradebook = _Gradebook(handlers.BaseHandler.gradebook.fget)


class _Gradebook(property):
    """A handler's gradebook, with an authenticator."""

    def __get__(self, handler: Any, owner: type | None = None) -> Any:
        gradebook = super().__get__(handler, owner)
        if handler is None or gradebook.authenticator is not None:
            return gradebook
        formgrader = handler.coursedir.parent
        if issubclass(ExchangeFactory(parent=formgrader).exchange, Exchange):
            gradebook.authenticator = Authenticator(
                parent=formgrader, plugin_class=NgshareAuthPlugin
            )
        return gradebook
