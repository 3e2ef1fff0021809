"""The first page: one's courses."""

from __future__ import annotations

from ngshare import listings
from ngshare.pages.base import PageHandler


class HomeHandler(PageHandler):
    async def get(self) -> None:
        courses = await self.read(listings.list_courses, self.identity)
        self.render_page("home.html", courses=courses)
