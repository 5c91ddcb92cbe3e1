"""Time stamps of checkpoints: taken in and verified under a trusted authority only, whatever the bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flasktrack.core.note import Note, format_note, format_signatures, parse_note
from flasktrack.errors import InvalidNote, SettingsError, TimestampError, UnknownOrganization
from flasktrack.seal.sealing import seal
from flasktrack.seal.timestamp import ask_authority, make_stamp_request, take_in_stamp
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import VERIFIED
from flasktrack.trust.checkpoints import Opened, StoredCheckpoint, latest_checkpoint, open_note
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.timestamps import MAX_RESPONSE_BYTES, TimestampAuthority, signature_of
from flasktrack.verify.runner import Trust, verify_organization
from tests.seal.authority import Authority, serving
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record
from tests.trust.leaves import tamper_with


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another authority, of the same name."""
    return Authority(tmp_path_factory.mktemp("tsa") / "other")


@pytest.fixture
def keyring(tmp_path: Path, authority: Authority) -> Keyring:
    made = Keyring(tmp_path / "keys", "lab.example.org", tsa_cert=authority.ca)
    made.create()
    return made


@pytest.fixture
def lab(engine: Engine, keyring: Keyring) -> Engine:
    """An organization with three records, sealed."""
    organizations(engine)
    sealed(engine, keyring)
    return engine


def sealed(engine: Engine, keyring: Keyring, organization: str = NORTHWIND) -> None:
    record(engine, *(event(number, before=None, after=None) for number in range(1, 4)), organization=organization)
    seal(engine, organization, Trust(keyring), started_by="test")


def newest(engine: Engine) -> StoredCheckpoint:
    with engine.connect() as connection:
        found = latest_checkpoint(connection, machine_scope(NORTHWIND))
    assert found is not None
    return found


def query(engine: Engine, keyring: Keyring) -> bytes:
    request = make_stamp_request(engine, NORTHWIND, keyring)
    assert request is not None
    return request.query


def opened(engine: Engine, keyring: Keyring) -> Opened:
    origin, trusted = keyring.origin(NORTHWIND), keyring.trusted(NORTHWIND)
    return open_note(newest(engine).note, origin, trusted, keyring.third_parties())


def findings(engine: Engine, keyring: Keyring) -> list[tuple[str, int]]:
    done = verify_organization(engine, NORTHWIND, started_by="test", trust=Trust(keyring))
    return [(finding.code, finding.seq) for finding in done.findings]


def put_line(engine: Engine, response: bytes) -> None:
    """What somebody with the database does: give the newest checkpoint this time stamp."""
    note = parse_note(newest(engine).note)
    lines = [line for line in note.signatures if not line.name.startswith("timestamp/")]
    forged = format_note(Note(note.text, (*lines, signature_of(response))))
    tamper_with(engine, "UPDATE checkpoint SET note = :note WHERE organization_id = :name AND size = :size",
                note=forged, name=NORTHWIND, size=newest(engine).size)  # fmt: skip


# Stamping


def test_a_checkpoint_is_stamped_once_and_verified_with_its_time(
    lab: Engine, keyring: Keyring, authority: Authority
) -> None:
    before = datetime.now(UTC)
    response = authority.stamp(query(lab, keyring))
    done = take_in_stamp(lab, keyring, response, [NORTHWIND])
    assert (done.organization_id, done.size, done.added) == (NORTHWIND, 3, True)
    assert before - timedelta(seconds=2) < done.stamped_at < datetime.now(UTC) + timedelta(seconds=2)
    assert opened(lab, keyring).stamped_at == done.stamped_at
    again = make_stamp_request(lab, NORTHWIND, keyring)
    assert again is not None
    assert again.stamped_at == done.stamped_at
    assert not take_in_stamp(lab, keyring, authority.stamp(again.query), [NORTHWIND]).added
    assert opened(lab, keyring).stamped_at == done.stamped_at, "the first one stays"
    assert findings(lab, keyring) == []


def test_openssl_confirms_the_time_stamp_of_the_notes_text(lab: Engine, keyring: Keyring, authority: Authority) -> None:
    take_in_stamp(lab, keyring, authority.stamp(query(lab, keyring)), [NORTHWIND])
    note = parse_note(newest(lab).note)
    assert authority.confirms(note.text.encode(), note.signatures[-1].signature)
    assert not authority.confirms(b"other", note.signatures[-1].signature)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_request_that_was_made_elsewhere_may_name_a_longer_hash(
    lab: Engine, keyring: Keyring, authority: Authority, digest: str
) -> None:
    own = authority.query(parse_note(newest(lab).note).text.encode(), digest)
    assert take_in_stamp(lab, keyring, authority.stamp(own), [NORTHWIND]).added


def test_a_late_time_stamp_finds_its_checkpoint(lab: Engine, keyring: Keyring, authority: Authority) -> None:
    response = authority.stamp(query(lab, keyring))
    sealed(lab, keyring)
    organizations(lab, SOUTHPORT)
    sealed(lab, keyring, SOUTHPORT)
    done = take_in_stamp(lab, keyring, response, [SOUTHPORT, NORTHWIND])
    assert (done.organization_id, done.size) == (NORTHWIND, 3)
    assert opened(lab, keyring).stamped_at is None


def test_where_no_authority_is_trusted_a_time_stamp_is_ignored(
    lab: Engine, keyring: Keyring, stranger: Authority
) -> None:
    put_line(lab, stranger.stamp(query(lab, keyring)))
    blind = Keyring(keyring.directory, "lab.example.org")
    assert findings(lab, blind) == []
    assert opened(lab, blind).stamped_at is None
    with pytest.raises(TimestampError, match="FLASKTRACK_TSA_CERT"):
        take_in_stamp(lab, blind, b"", [NORTHWIND])


# What an authority did not stamp


def test_a_time_stamp_by_another_authority_is_refused_and_found(
    lab: Engine, keyring: Keyring, stranger: Authority
) -> None:
    response = stranger.stamp(query(lab, keyring))
    before = newest(lab)
    with pytest.raises(TimestampError, match="not one by the authority that is trusted"):
        take_in_stamp(lab, keyring, response, [NORTHWIND])
    assert newest(lab) == before
    put_line(lab, response)
    assert findings(lab, keyring) == [("checkpoint_invalid", 3)]
    both = keyring.directory.parent / "both.pem"
    both.write_bytes(stranger.ca.read_bytes() + keyring._tsa_cert.read_bytes())  # type: ignore[union-attr]
    widened = Keyring(keyring.directory, "lab.example.org", tsa_cert=both)
    assert findings(lab, widened) == [], "both are trusted now"


def test_a_time_stamp_that_was_moved_to_another_checkpoint_is_found(
    lab: Engine, keyring: Keyring, authority: Authority
) -> None:
    response = authority.stamp(query(lab, keyring))
    sealed(lab, keyring)
    put_line(lab, response)
    done = verify_organization(lab, NORTHWIND, started_by="test", trust=Trust(keyring))
    assert [(finding.code, finding.seq) for finding in done.findings] == [("checkpoint_invalid", 6)]
    assert "timestamp/rfc3161" in done.findings[0].detail
    assert done.status != VERIFIED


@pytest.mark.parametrize(
    "change",
    [
        lambda response: response[:-1],
        lambda response: response[:40],
        lambda response: response + b"\x00",
        lambda response: response[:-1] + bytes([response[-1] ^ 1]),
        lambda response: response.replace(b"20", b"19", 1),  # a year, or whatever comes first
        lambda response: b"\x00",
        lambda response: b"\x30\x03\x02\x01\x02",
        lambda response: response + bytes(MAX_RESPONSE_BYTES),
    ],
    ids=["cut", "head", "longer", "signature", "year", "zero", "short", "huge"],
)
def test_a_damaged_time_stamp_is_refused_and_found(
    lab: Engine, keyring: Keyring, authority: Authority, change: Callable[[bytes], bytes]
) -> None:
    damaged = change(authority.stamp(query(lab, keyring)))
    with pytest.raises(TimestampError):
        take_in_stamp(lab, keyring, damaged, [NORTHWIND])
    put_line(lab, damaged)
    assert findings(lab, keyring) == [("checkpoint_invalid", 3)]


def test_no_byte_of_a_time_stamp_can_be_altered_to_another_time(
    lab: Engine, keyring: Keyring, authority: Authority
) -> None:
    response = authority.stamp(query(lab, keyring))
    text = parse_note(newest(lab).note).text
    trusted = TimestampAuthority.from_file(authority.ca)
    assert trusted.verifies(text, response)
    time = take_in_stamp(lab, keyring, response, [NORTHWIND]).stamped_at.strftime("%Y%m%d%H%M%SZ").encode()
    assert response.count(time) == 1
    start = response.index(time)
    for place in range(start, start + len(time)):
        altered = bytearray(response)
        altered[place] ^= 1
        assert not trusted.verifies(text, bytes(altered))


def test_a_refusal_of_the_authority_is_told(lab: Engine, keyring: Keyring, tmp_path: Path) -> None:
    picky = Authority(tmp_path / "picky", digests="sha512")
    response = picky.stamp(query(lab, keyring))
    with pytest.raises(TimestampError, match="refused"):
        take_in_stamp(lab, keyring, response, [NORTHWIND])


def test_the_signers_certificate_by_itself_is_no_root(lab: Engine, keyring: Keyring, authority: Authority) -> None:
    response = authority.stamp(query(lab, keyring))
    text = parse_note(newest(lab).note).text
    assert TimestampAuthority.from_file(authority.ca).verifies(text, response)
    assert not TimestampAuthority.from_file(authority.folder / "tsa.pem").verifies(text, response)


# Requests and settings


def test_a_request_needs_a_checkpoint_that_can_be_believed(engine: Engine, keyring: Keyring) -> None:
    organizations(engine)
    with pytest.raises(UnknownOrganization):
        make_stamp_request(engine, "nobody", keyring)
    assert make_stamp_request(engine, NORTHWIND, keyring) is None
    sealed(engine, keyring)
    tamper_with(engine, "UPDATE checkpoint SET note = replace(note, :old, :new)", old="\n3\n", new="\n4\n")
    with pytest.raises(InvalidNote):
        make_stamp_request(engine, NORTHWIND, keyring)


def test_a_time_stamp_of_something_else_fits_nothing(lab: Engine, keyring: Keyring, authority: Authority) -> None:
    response = authority.stamp(authority.query(b"something else", "sha256"))
    with pytest.raises(TimestampError, match="fits no checkpoint"):
        take_in_stamp(lab, keyring, response, [NORTHWIND])


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("empty.pem", "absent.pem", "."):
        with pytest.raises(SettingsError, match=r"FLASKTRACK_TSA_CERT"):
            TimestampAuthority.from_file(tmp_path / name)


def test_an_authority_is_asked_over_http(lab: Engine, keyring: Keyring, authority: Authority) -> None:
    with serving(authority) as url:
        response = ask_authority(url, query(lab, keyring))
    assert take_in_stamp(lab, keyring, response, [NORTHWIND]).added


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://tsa.example", "tsa.example", "", "http://", "http://["])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(TimestampError):
        ask_authority(url, b"")


def test_an_authority_that_cannot_be_reached_is_told(authority: Authority) -> None:
    with serving(authority) as url:
        pass
    with pytest.raises(TimestampError, match="did not answer"):
        ask_authority(url, b"")


def test_strangers_read_a_stamped_note_as_any_other(lab: Engine, keyring: Keyring, authority: Authority) -> None:
    plain = newest(lab).note
    take_in_stamp(lab, keyring, authority.stamp(query(lab, keyring)), [NORTHWIND])
    stamped = newest(lab).note
    assert stamped.startswith(plain)
    assert stamped == plain + format_signatures(parse_note(stamped).signatures[-1:])
    assert open_note(stamped, keyring.origin(NORTHWIND), keyring.trusted(NORTHWIND)).stamped_at is None
