"""A PDF as Typst writes it, taken apart into its objects: a classic cross-reference table, every object in use.

No other PDF is read: what is not as expected is an error, and no guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_ENTRY: Final = re.compile(rb"(\d{10}) 00000 n")
_REFERENCE: Final = rb" (\d+) 0 R"


class Part:
    """A PDF's objects, by number from 1, and those of them that hold it together.

    `parents` and `names` are the indexes of the structure: from a key or name to an element's number. `resources` are
    what the pages draw with. Raises ValueError where the PDF is none that Typst writes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        table = int(found(rb"startxref\s+(\d+)\s+%%EOF\s*$", data[-100:]))
        trailer = data[data.index(b"trailer", table) :]
        offsets = [int(offset) for offset in _ENTRY.findall(data, table)]
        ends = dict(zip(sorted(offsets), [*sorted(offsets)[1:], table], strict=True))
        self._spans = [(offset, ends[offset]) for offset in offsets]
        self.size = len(offsets)
        self.ids = found(rb"(/ID\[.*?\])", trailer)
        self.info = int(found(rb"/Info" + _REFERENCE, trailer))
        catalog = int(found(rb"/Root" + _REFERENCE, trailer))
        top = self.content(catalog)
        self.pages = int(found(rb"/Pages" + _REFERENCE, top))
        self.metadata = int(found(rb"/Metadata" + _REFERENCE, top))
        self.left_out = {catalog, self.info, self.metadata}
        self.role_map, self.document = b"", 0
        self.parents: list[tuple[int, int]] = []
        self.names: list[tuple[bytes, int]] = []
        if b"/StructTreeRoot" in top:
            tree = int(found(rb"/StructTreeRoot" + _REFERENCE, top))
            self.left_out.add(tree)
            self._structure(self.content(tree))
        drawn = (
            re.search(rb"/Resources" + _REFERENCE, content) for _, content, _ in self.objects() if is_page(content)
        )
        self.resources = {int(one[1]) for one in drawn if one}

    def objects(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Each object's number, its text, and its stream's data where it is a stream."""
        for number in range(1, self.size + 1):
            yield number, *self.split(number)

    def content(self, number: int) -> bytes:
        """An object's text."""
        return self.split(number)[0]

    def split(self, number: int) -> tuple[bytes, bytes | None]:
        """An object's text, and its stream's data where it is a stream."""
        start, end = self._spans[number - 1]
        begin, finish = b"%d 0 obj\n" % number, self._data.rindex(b"\nendobj", start, end)
        if not self._data.startswith(begin, start):
            raise ValueError(f"object {number} is not where the table says")
        content, stream, data = self._data[start + len(begin) : finish].partition(b"\nstream\n")
        return (content, data.removesuffix(b"\nendstream")) if stream else (content, None)

    def _structure(self, tree: bytes) -> None:
        self.role_map = found(rb"/RoleMap<<(.*?)>>", tree)
        self.document = int(found(rb"/K\[(\d+) 0 R\]", tree))
        numbers = found(rb"/ParentTree<</Nums\[(.*?)\]>>", tree)
        self.parents = [(int(key), int(ref)) for key, ref in re.findall(rb"(\d+) (\d+) 0 R", numbers)]
        named = re.search(rb"/IDTree<</Names\[(.*?)\]>>", tree)
        self.names = [
            (name, int(ref)) for name, ref in re.findall(rb"\((U[\dxy]+)\)(\d+) 0 R", named[1] if named else b"")
        ]


def is_page(content: bytes) -> bool:
    """Whether an object is a page, and not the root of all."""
    return content.startswith(b"<</Type/Page/")


def found(pattern: bytes, text: bytes) -> bytes:
    """The group of a pattern that must be there."""
    match = re.search(pattern, text, re.DOTALL)
    if match is None:
        raise ValueError(f"{pattern!r} is missing")
    return match[1]
