"""What is on a page, as tests read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"input", "meta", "link", "img", "br", "hr"}


@dataclass
class Element:
    """An element, with those in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements inside of this kind, in order; `_class` stands for `class`."""
        wanted = {name.lstrip("_").replace("_", "-"): text for name, text in attributes.items()}
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == tag and wanted.items() <= child.attributes.items():
                    found.append(child)
                found += child.all(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> Element:
        [found] = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """The words, with single spaces between them."""
        return " ".join(self._raw_text().split())

    def _raw_text(self) -> str:
        return "".join(
            child if isinstance(child, str) else child._raw_text() for child in self.children
        )

    def links(self) -> dict[str, str]:
        """Where links lead, by their words."""
        return {link.text: link.attributes["href"] for link in self.all("a")}

    def rows(self) -> list[list[Element]]:
        """The cells of each row of the tables inside, without rows of headings."""
        return [
            [cell for cell in row.children if isinstance(cell, Element)]
            for row in self.all("tr")
            if row.all("td")
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: text or "" for name, text in attributes})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    """The elements of a page, of which every one is closed."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    [root] = reader.open
    return root
