"""Joins PDFs that Typst made into one, part by part, so that no more than one part is in memory.

Typst lays a whole document out at once and needs about 300 kB for each record of a report. So a report is typeset in
parts, and their objects are copied into one file here, with other numbers (ISO 32000-1, 7.3.10 and 7.5):

    part:    12 0 obj  <</Type/StructElem/S/P/P 77 0 R ...>>       ->  1012 0  <</Type/StructElem/S/P/P 1077 0 R ...>>

What holds a document together is made anew: the catalog, the pages, the outline, and for accessibility the tree of the
structure with its two indexes, in which each part becomes a `Part` of one `Document` (14.7). Objects that are no
streams are packed into object streams (7.5.7), which makes a tagged file a fifth as large.

It reads what Typst writes (a classic cross-reference table, every object in use), and no other PDF.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Callable
from typing import Final

from flasktrack.export.pdf_part import Part, found, is_page

_CATALOG, _PAGES, _TREE, _DOCUMENT, _OUTLINE, _TOTAL, _STAMP, _INFO, _METADATA, _FIRST = range(1, 11)
_IN_STREAM: Final = 200  # objects of one object stream
_PACKED: Final = 1 << 63  # an entry's mark: the object is in an object stream

# What in an object must be changed, after strings, which may hold text that looks like it.
_TOKENS: Final = re.compile(
    rb"/ID\((?P<id>U[\dxy]+)\)|/Headers\[(?P<headers>(?:\(U[\dxy]+\))+)\]"
    rb"|\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f]*>|\b(?P<ref>\d+) 0 R\b",
    re.DOTALL,
)


class JoinedPdf:
    """A PDF that is written part by part with `write`; `pages` is how many it has so far."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._written = 0
        self._entries = array("Q", [0] * _FIRST)
        self._waiting: list[tuple[int, bytes]] = []
        self._info = self._metadata = self._ids = self._role_map = b""
        self._kids: list[int] = []  # the parts' roots of pages, and of the structure
        self._parts: list[int] = []
        self._parents: list[int] = []  # leaves of the two indexes
        self._names: list[int] = []
        self._outline: list[tuple[str, int]] = []
        self._next_key = 0
        self.pages = 0
        self._put(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")

    def add(self, pdf: bytes, title: str) -> None:
        """Append a part; `title` names it in the outline."""
        part = Part(pdf)
        base = len(self._entries) - 1
        self._entries.extend([0] * part.size)
        prefix = b"p%06d-" % len(self._parts)
        count = 0
        for number, content, stream in part.objects():
            if number in part.left_out:
                continue
            new = _renumbered(content, base, prefix)
            if number == part.pages:
                new = new.replace(b"/Type/Pages", b"/Type/Pages/Parent %d 0 R" % _PAGES, 1)
                self._kids.append(base + number)
            elif number == part.document:
                new = new.replace(b"/S/Document", b"/S/Part", 1)
                new = re.sub(rb"/P \d+ 0 R", b"/P %d 0 R" % _DOCUMENT, new, count=1)
                self._parts.append(base + number)
            elif is_page(new):
                new = self._page(new)
                count += 1
                if count == 1:
                    self._outline.append((title, base + number))
            elif number in part.resources:
                new = _with_total(new)
            if stream is None:
                self._pack(base + number, new)
            else:
                self._stream(base + number, new, stream)
        self._index(part, base, prefix)
        self.pages += count
        if not self._info:
            self._info, self._metadata = part.content(part.info), part.split(part.metadata)[1] or b""
            self._ids, self._role_map = part.ids, part.role_map

    def finish(self, total: bytes) -> None:
        """Write what holds the parts together. `total` is a PDF of one page that goes under each of them."""
        part = Part(total)
        base = len(self._entries) - 1
        self._entries.extend([0] * part.size)
        page = next(content for _, content, _ in part.objects() if is_page(content))
        contents = int(found(rb"/Contents (\d+) 0 R", page))
        box, resources = found(rb"/MediaBox(\[[^\]]*\])", page), int(found(rb"/Resources (\d+) 0 R", page))
        for number, content, stream in part.objects():
            new = _renumbered(content, base, b"")
            if number == contents and stream is not None:
                form = b"<</Type/XObject/Subtype/Form/BBox%b/Resources %d 0 R" % (box, base + resources)
                self._stream(_TOTAL, form + new[2:], stream)
            elif stream is not None:
                self._stream(base + number, new, stream)
            elif number not in part.left_out and not content.startswith(b"<</Type/Page"):
                self._pack(base + number, new)
        drawn = b"/Artifact<</Type/Pagination/Subtype/Footer>>BDC q /Total Do Q EMC\n"
        self._stream(_STAMP, b"<</Length %d>>" % len(drawn), drawn)
        self._frame()
        self._cross_references()

    def _page(self, content: bytes) -> bytes:
        """A page that draws the number of all pages, too, and whose key in the index of parents is its own."""
        content = re.sub(rb"/Contents (\d+ 0 R)", rb"/Contents[%d 0 R \1]" % _STAMP, content, count=1)
        keys = self._next_key
        return re.sub(
            rb"/StructParents (\d+)", lambda found: b"/StructParents %d" % (keys + int(found[1])), content, count=1
        )

    def _index(self, part: Part, base: int, prefix: bytes) -> None:
        """A part's leaves in the index from marked content to its element, and in the one from names to elements."""
        if part.parents:
            leaf, keys = self._new(), [self._next_key + key for key, _ in part.parents]
            numbers = b" ".join(
                b"%d %d 0 R" % (key, base + ref) for key, (_, ref) in zip(keys, part.parents, strict=True)
            )
            self._pack(leaf, b"<</Limits[%d %d]/Nums[%b]>>" % (keys[0], keys[-1], numbers))
            self._parents.append(leaf)
            self._next_key = keys[-1] + 1
        if part.names:
            leaf = self._new()
            named = [(prefix + name, base + ref) for name, ref in sorted(part.names)]
            first, last = named[0][0], named[-1][0]
            body = b"".join(b"(%b)%d 0 R" % pair for pair in named)
            self._pack(leaf, b"<</Limits[(%b)(%b)]/Names[%b]>>" % (first, last, body))
            self._names.append(leaf)

    def _frame(self) -> None:
        """The catalog, and the roots of pages, structure and outline."""
        self._pack(
            _CATALOG,
            b"<</Type/Catalog/Pages %d 0 R/Metadata %d 0 R/Lang(en)/StructTreeRoot %d 0 R/Outlines %d 0 R"
            b"/MarkInfo<</Marked true/Suspects false>>/ViewerPreferences<</DisplayDocTitle true/Direction/L2R>>>>"
            % (_PAGES, _METADATA, _TREE, _OUTLINE),
        )
        self._pack(_PAGES, b"<</Type/Pages/Count %d/Kids[%b]>>" % (self.pages, _references(self._kids)))
        self._pack(
            _TREE,
            b"<</Type/StructTreeRoot/RoleMap<<%b>>/K[%d 0 R]/ParentTree<</Kids[%b]>>/IDTree<</Kids[%b]>>"
            b"/ParentTreeNextKey %d>>"
            % (
                self._role_map,
                _DOCUMENT,
                _references(self._parents),
                _references(self._names),
                self._next_key,
            ),
        )
        kids = _references(self._parts)
        self._pack(_DOCUMENT, b"<</Type/StructElem/S/Document/P %d 0 R/K[%b]>>" % (_TREE, kids))
        items = [self._new() for _ in self._outline]
        for place, (title, page) in enumerate(self._outline):
            near = b"/Prev %d 0 R" % items[place - 1] if place else b""
            near += b"/Next %d 0 R" % items[place + 1] if place + 1 < len(items) else b""
            self._pack(
                items[place],
                b"<</Parent %d 0 R%b/Title<%b>/Dest[%d 0 R/Fit]>>" % (_OUTLINE, near, _text(title), page),
            )
        ends = b"/First %d 0 R/Last %d 0 R" % (items[0], items[-1])
        self._pack(_OUTLINE, b"<</Type/Outlines%b/Count %d>>" % (ends, len(items)))
        self._pack(_INFO, self._info)
        pages = b"<xmpTPg:NPages>%d<" % self.pages
        metadata = re.sub(rb"<xmpTPg:NPages>\d+<", pages, self._metadata)
        self._stream(_METADATA, b"<</Type/Metadata/Subtype/XML/Length %d>>" % len(metadata), metadata)

    def _cross_references(self) -> None:
        self._flush()
        number = self._new()
        self._entries[number] = self._written
        rows = bytearray(b"\0" * 9)
        for entry in self._entries[1:]:
            kind = 2 if entry & _PACKED else int(entry > 0)
            value = entry & ~_PACKED
            rows += bytes([kind]) + (value >> 16 if kind == 2 else value).to_bytes(6)
            rows += (value & 0xFFFF if kind == 2 else 0).to_bytes(2)
        packed = zlib.compress(rows)
        head = b"<</Type/XRef/Size %d/W[1 6 2]/Root %d 0 R/Info %d 0 R%b/Filter/FlateDecode/Length %d>>" % (
            len(self._entries), _CATALOG, _INFO, self._ids, len(packed),
        )  # fmt: skip
        start = self._written
        self._put(b"%d 0 obj\n%b\nstream\n%b\nendstream\nendobj\n" % (number, head, packed))
        self._put(b"startxref\n%d\n%%%%EOF\n" % start)

    def _new(self) -> int:
        self._entries.append(0)
        return len(self._entries) - 1

    def _stream(self, number: int, head: bytes, data: bytes) -> None:
        self._entries[number] = self._written
        self._put(b"%d 0 obj\n%b\nstream\n%b\nendstream\nendobj\n" % (number, head, data))

    def _pack(self, number: int, content: bytes) -> None:
        self._waiting.append((number, content))
        if len(self._waiting) == _IN_STREAM:
            self._flush()

    def _flush(self) -> None:
        """Write the objects that wait as one object stream."""
        if not self._waiting:
            return
        number, places, bodies = self._new(), [], bytearray()
        for index, (packed, content) in enumerate(self._waiting):
            places.append(b"%d %d" % (packed, len(bodies)))
            bodies += content + b"\n"
            self._entries[packed] = _PACKED | number << 16 | index
        head = b" ".join(places) + b"\n"
        data = zlib.compress(head + bodies)
        self._stream(
            number,
            b"<</Type/ObjStm/N %d/First %d/Filter/FlateDecode/Length %d>>" % (len(places), len(head), len(data)),
            data,
        )
        self._waiting.clear()

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._written += len(data)


def _renumbered(content: bytes, base: int, prefix: bytes) -> bytes:
    """An object with `base` added to each number that it refers to, and `prefix` before each name in the structure."""

    def token(match: re.Match[bytes]) -> bytes:
        if (ref := match["ref"]) is not None:
            return b"%d 0 R" % (base + int(ref))
        if (name := match["id"]) is not None:
            return b"/ID(%b%b)" % (prefix, name)
        if (headers := match["headers"]) is not None:
            return b"/Headers[%b]" % headers.replace(b"(", b"(" + prefix)
        return match[0]

    return _TOKENS.sub(token, content)


def _with_total(resources: bytes) -> bytes:
    """The resources of a page, with the number of all pages among what it can draw."""
    if b"/XObject<<" in resources:
        return resources.replace(b"/XObject<<", b"/XObject<</Total %d 0 R" % _TOTAL, 1)
    return b"%b/XObject<</Total %d 0 R>>>>" % (resources.removesuffix(b">>"), _TOTAL)


def _references(numbers: list[int]) -> bytes:
    return b" ".join(b"%d 0 R" % number for number in numbers)


def _text(text: str) -> bytes:
    """A text string in hex (7.9.2.2)."""
    return (b"\xfe\xff" + text.encode("utf-16-be")).hex().encode()
