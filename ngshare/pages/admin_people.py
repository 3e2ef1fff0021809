"""Everybody, as admins see them: other names, two names of one person, people who have left."""

from __future__ import annotations

from ngshare import mergers, people
from ngshare.errors import InvalidRequest, NotFound
from ngshare.pages.admin import required
from ngshare.pages.base import PageHandler

PEOPLE = ("pages", "admin", "people")


class PeopleHandler(PageHandler):
    async def get(self) -> None:
        view = self.view(people.COLUMNS, "username")
        rows, roles = await self.read_long(people.list_people, self.identity, view)
        self.render_page("admin_people.html", rows=rows, roles=roles)

    def back(self) -> tuple[str, ...]:
        return PEOPLE


class PersonHandler(PageHandler):
    """One person: everything there is, and forms that change the name."""

    async def get(self, name: str) -> None:
        person = await self.read_long(people.get_person, self.identity, name)
        self.render_page("admin_person.html", person=person)

    async def act(self, name: str) -> None:
        what = self.argument("action")
        if what == "rename":
            await _rename(self, name)
        elif what == "deactivate":
            new_name = await self.transact(people.deactivate, self.identity, name)
            notice = f"{name} is set aside as {new_name}; the name {name} is free."
            self.done(notice, *PEOPLE, new_name)
        else:
            raise InvalidRequest("action should be rename or deactivate")

    def back(self) -> tuple[str, ...]:
        return (*PEOPLE, *self.path_args) if self.request.method == "POST" else PEOPLE


class OldNameHandler(PageHandler):
    """One person whose name nobody could have now, and no path of a URL can hold.

    ngshare 0.6 and groups of the Hub have let such names in. All that can be done is to rename
    the person; then there is a page for the rest.
    """

    async def get(self) -> None:
        person = await self.read_long(people.get_person, self.identity, self._name())
        self.render_page("admin_person.html", person=person)

    async def act(self) -> None:
        await _rename(self, self._name())

    def _name(self) -> str:
        """As it is: blanks around it are part of it."""
        name = (self.raw_argument("name") or b"").decode(errors="replace")
        if "\0" in name:  # which PostgreSQL takes in no text
            raise NotFound("There is nobody with this user name")
        return name

    def back(self) -> tuple[str, ...]:
        return PEOPLE


async def _rename(page: PageHandler, name: str) -> None:
    new_name = required(page, "new_name")
    await page.transact(people.rename, page.identity, name, new_name)
    page.done(f"{name} is called {new_name} now.", *PEOPLE, new_name)


class MergerHandler(PageHandler):
    """What merging somebody into another person would do, and the form that does it."""

    async def get(self, name: str) -> None:
        into = required(self, "into")
        merger = await self.read_long(mergers.preview_merger, self.identity, name, into)
        self.render_page("admin_merger.html", merger=merger, has_changed=False)

    async def act(self, name: str) -> None:
        into = required(self, "into")
        digest = self.argument("digest") or ""
        merger, is_done = await self.transact(
            mergers.merge_planned, self.identity, name, into, digest
        )
        if is_done:
            self.done(f"{name} was merged into {into}.", *PEOPLE, into)
        else:
            self.render_page("admin_merger.html", merger=merger, has_changed=True)

    def back(self) -> tuple[str, ...]:
        return (*PEOPLE, *self.path_args)
