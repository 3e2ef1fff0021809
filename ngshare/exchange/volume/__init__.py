"""nbgrader's own exchange on the per-student volume: eight classes for `c.ExchangeFactory`.

They are nbgrader's (nbgrader/exchange/default), with the paths of ngshare.volume, and without
trust in what students' folders have. Nothing of the server is loaded by importing this.
"""

from __future__ import annotations

from ngshare.exchange.volume.assignments import (
    ExchangeFetchAssignment,
    ExchangeReleaseAssignment,
    ExchangeSubmit,
)
from ngshare.exchange.volume.base import Exchange
from ngshare.exchange.volume.collect import ExchangeCollect
from ngshare.exchange.volume.feedback import ExchangeFetchFeedback, ExchangeReleaseFeedback
from ngshare.exchange.volume.list import ExchangeList
from ngshare.volume import mounts, prepare

__all__ = [
    "Exchange",
    "ExchangeCollect",
    "ExchangeFetchAssignment",
    "ExchangeFetchFeedback",
    "ExchangeList",
    "ExchangeReleaseAssignment",
    "ExchangeReleaseFeedback",
    "ExchangeSubmit",
    "mounts",
    "prepare",
]
