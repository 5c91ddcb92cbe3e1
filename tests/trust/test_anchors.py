"""An anchor is there whole or not at all, is never written over, and is read as it is."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flasktrack.errors import AnchorError, InvalidOrganization
from flasktrack.trust.anchors import Anchor, Anchors
from tests.store.samples import NORTHWIND, SOUTHPORT

NOTE = f"flasktrack.example.org/{NORTHWIND}\n7\nroot\n\n\u2014 name c2lnbmF0dXJl\n"
OTHER = NOTE.replace("root", "r00t")
FILE = "00000000000000000007.note"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "vault" / "anchors"


@pytest.fixture
def anchors(directory: Path) -> Anchors:
    return Anchors(directory)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_anchor_is_the_note_in_the_specs_place(anchors: Anchors, directory: Path) -> None:
    path = anchors.write(NORTHWIND, 7, NOTE)
    assert path == directory / NORTHWIND / FILE
    assert files(directory) == {f"{NORTHWIND}/{FILE}": NOTE.encode()}


def test_anchors_are_read_by_size_each_organizations_own(anchors: Anchors, directory: Path) -> None:
    assert anchors.read(NORTHWIND) == []
    for size in (100, 7, 10**12, 20):
        anchors.write(NORTHWIND, size, f"{size}")
    anchors.write(SOUTHPORT, 8, NOTE)
    assert [(anchor.size, anchor.note) for anchor in anchors.read(NORTHWIND)] == [
        (7, "7"), (20, "20"), (100, "100"), (10**12, str(10**12)),
    ]  # fmt: skip
    assert anchors.read(SOUTHPORT) == [Anchor(8, NOTE, directory / SOUTHPORT / FILE.replace("7", "8"))]
    assert anchors.read("nobody") == []


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_an_anchor_can_be_read_by_auditors_whatever_the_umask(anchors: Anchors) -> None:
    before = os.umask(0o027)
    try:
        path = anchors.write(NORTHWIND, 7, NOTE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_same_note_again_is_harmless(anchors: Anchors, directory: Path) -> None:
    path = anchors.write(NORTHWIND, 7, NOTE)
    before = path.stat()
    assert anchors.write(NORTHWIND, 7, NOTE) == path
    assert path.stat() == before
    assert len(files(directory)) == 1


@pytest.mark.parametrize("other", [OTHER, "", NOTE[:-1], NOTE + "more\n", NOTE.replace("\n", "\r\n")])
def test_an_anchor_is_never_written_over(anchors: Anchors, directory: Path, other: str) -> None:
    anchors.write(NORTHWIND, 7, NOTE)
    with pytest.raises(AnchorError, match=rf"{FILE} holds another note.* Keep the file as evidence"):
        anchors.write(NORTHWIND, 7, other)
    assert files(directory) == {f"{NORTHWIND}/{FILE}": NOTE.encode()}


@pytest.mark.parametrize("links", [True, False])
def test_of_many_that_write_at_once_one_wins(
    anchors: Anchors, directory: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)

    def write(number: int) -> str | None:
        try:
            anchors.write(NORTHWIND, 7, f"{NOTE}{number}\n")
        except AnchorError:
            return None
        return f"{NOTE}{number}\n"

    with ThreadPoolExecutor(8) as threads:
        won = [note for note in threads.map(write, range(8)) if note]
    assert len(won) == 1
    assert files(directory) == {f"{NORTHWIND}/{FILE}": won[0].encode()}


def no_links(self: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_file_system_without_hard_links_will_do(
    anchors: Anchors, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", no_links)
    anchors.write(NORTHWIND, 7, NOTE)
    with pytest.raises(AnchorError, match="holds another note"):
        anchors.write(NORTHWIND, 7, OTHER)
    assert files(directory) == {f"{NORTHWIND}/{FILE}": NOTE.encode()}


@pytest.mark.parametrize("links", [True, False])
def test_a_disk_that_fails_leaves_no_half_an_anchor(
    anchors: Anchors, directory: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    synchronized: list[int] = []

    def full(descriptor: int) -> None:
        synchronized.append(descriptor)
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnchorError, match=r"can't be written \(No space left on device\)"):
        anchors.write(NORTHWIND, 7, NOTE)
    assert synchronized
    assert files(directory) == {}


def test_file_and_names_are_synchronized_before_it_counts_as_anchored(
    anchors: Anchors, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronized: list[tuple[int, list[str]]] = []

    def fsync(descriptor: int) -> None:
        here = directory / NORTHWIND
        synchronized.append((os.fstat(descriptor).st_ino, [path.name for path in here.iterdir()]))

    monkeypatch.setattr(os, "fsync", fsync)
    path = anchors.write(NORTHWIND, 7, NOTE)
    inodes = [inode for inode, _ in synchronized]
    for made in (path, path.parent, directory, directory.parent, directory.parent.parent):
        assert made.stat().st_ino in inodes
    note_first, folder_last = inodes.index(path.stat().st_ino), synchronized[-1]
    assert FILE not in synchronized[note_first][1]
    assert folder_last == (path.parent.stat().st_ino, [FILE])


@pytest.mark.parametrize(
    "name",
    [
        "7.note", "0000000000000000007.note", "000000000000000000007.note", "0000000000000000000x.note", FILE + "~",
        "." + FILE + ".8a1f", FILE.upper(), "README.txt", "\u0660" * 20 + ".note", "-0000000000000000007.note",
    ],
)  # fmt: skip
def test_files_with_other_names_are_no_anchors(anchors: Anchors, directory: Path, name: str) -> None:
    anchors.write(NORTHWIND, 8, NOTE)
    (directory / NORTHWIND / name).write_text(OTHER)
    assert [anchor.size for anchor in anchors.read(NORTHWIND)] == [8]


@pytest.mark.parametrize("organization", ["", "..", "../elsewhere", "a/b", "Northwind", "/etc", "a\0b"])
def test_an_organization_that_is_no_slug_names_no_folder(anchors: Anchors, directory: Path, organization: str) -> None:
    with pytest.raises(InvalidOrganization):
        anchors.write(organization, 7, NOTE)
    with pytest.raises(InvalidOrganization):
        anchors.read(organization)
    assert not directory.exists()


@pytest.mark.parametrize("size", [-1, 10**20])
def test_a_size_that_no_tree_has_names_no_file(anchors: Anchors, directory: Path, size: int) -> None:
    with pytest.raises(ValueError, match="no tree has"):
        anchors.write(NORTHWIND, size, NOTE)
    assert not directory.exists()


def test_what_somebody_put_in_an_anchor_is_read_as_it_is(anchors: Anchors, directory: Path) -> None:
    path = anchors.write(NORTHWIND, 7, NOTE)
    for content in (b"", b"\xff\xfe\x00", NOTE.replace("\n", "\r\n").encode()):
        path.write_bytes(content)
        assert anchors.read(NORTHWIND) == [Anchor(7, content.decode(errors="replace"), path)]
    with path.open("wb") as file:
        file.truncate(2**33)  # which no machine should have to read
    assert len(anchors.read(NORTHWIND)[0].note) < 2**23


def folder_instead(path: Path) -> None:
    path.mkdir()


def pipe_instead(path: Path) -> None:
    os.mkfifo(path)


def dangling_link_instead(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [folder_instead, pipe_instead, dangling_link_instead])
def test_what_is_no_file_in_an_anchors_place_is_told(anchors: Anchors, directory: Path, make: Any) -> None:
    anchors.write(NORTHWIND, 8, NOTE)
    make(directory / NORTHWIND / FILE)
    for attempt in (lambda: anchors.read(NORTHWIND), lambda: anchors.write(NORTHWIND, 7, NOTE)):
        with pytest.raises(AnchorError, match=rf"{FILE} can't be read \(it is not a file\)"):
            attempt()


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "anchors").write_text("in the way")
    anchors = Anchors(tmp_path / "anchors")
    with pytest.raises(AnchorError, match=r"can't be read \(Not a directory\)\. Look at .* FLASKTRACK_ANCHOR_DIR"):
        anchors.read(NORTHWIND)
    with pytest.raises(AnchorError, match=r"can't be written \(.*\)\. Look at .* FLASKTRACK_ANCHOR_DIR"):
        anchors.write(NORTHWIND, 7, NOTE)


@pytest.mark.parametrize("what", ["iterdir", "open"])
def test_a_folder_or_anchor_that_may_not_be_read_is_told(
    anchors: Anchors, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal is played."""
    anchors.write(NORTHWIND, 7, NOTE)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, what, refuse)
    with pytest.raises(AnchorError, match=r"can't be read \(Permission denied\)\. Look at the folder's owner, mode"):
        anchors.read(NORTHWIND)
