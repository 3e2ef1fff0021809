"""nbgrader's exchange over ngshare: what a course's nbgrader_config.py names.

    from ngshare.exchange import configure_exchange

    c = get_config()
    configure_exchange(c)

Nothing of the server is loaded by importing this.
"""

from __future__ import annotations

from traitlets.config import Config

from ngshare.exchange.assignment_list import complete_assignment_list
from ngshare.exchange.auth import NgshareAuthPlugin
from ngshare.exchange.base import Exchange
from ngshare.exchange.collect import ExchangeCollect
from ngshare.exchange.fetch_assignment import ExchangeFetchAssignment
from ngshare.exchange.fetch_feedback import ExchangeFetchFeedback
from ngshare.exchange.formgrader import complete_formgrader
from ngshare.exchange.list import ExchangeList
from ngshare.exchange.release_assignment import ExchangeReleaseAssignment
from ngshare.exchange.release_feedback import ExchangeReleaseFeedback
from ngshare.exchange.submit import ExchangeSubmit

__all__ = [
    "Exchange",
    "ExchangeCollect",
    "ExchangeFetchAssignment",
    "ExchangeFetchFeedback",
    "ExchangeList",
    "ExchangeReleaseAssignment",
    "ExchangeReleaseFeedback",
    "ExchangeSubmit",
    "NgshareAuthPlugin",
    "configureExchange",
    "configure_exchange",
]


def configure_exchange(c: Config, url: str | None = None) -> None:
    """Let nbgrader exchange everything through ngshare.

    The classes are named, not put in, because formgrader writes the configuration as JSON.

    Args:
        c: the configuration, `get_config()` in nbgrader_config.py.
        url: of ngshare, such as http://proxy-public/services/ngshare; if not given, what
            ngshare.client.find_url finds in the environment.
    """
    c.ExchangeFactory.exchange = "ngshare.exchange.Exchange"
    c.ExchangeFactory.collect = "ngshare.exchange.ExchangeCollect"
    c.ExchangeFactory.fetch_assignment = "ngshare.exchange.ExchangeFetchAssignment"
    c.ExchangeFactory.fetch_feedback = "ngshare.exchange.ExchangeFetchFeedback"
    c.ExchangeFactory.list = "ngshare.exchange.ExchangeList"
    c.ExchangeFactory.release_assignment = "ngshare.exchange.ExchangeReleaseAssignment"
    c.ExchangeFactory.release_feedback = "ngshare.exchange.ExchangeReleaseFeedback"
    c.ExchangeFactory.submit = "ngshare.exchange.ExchangeSubmit"
    if url:
        c.Exchange.ngshare_url = url
    complete_formgrader()
    complete_assignment_list()


configureExchange = configure_exchange  # the name that ngshare_exchange gave it
