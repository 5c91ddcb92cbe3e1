"""Requests to a witness: as C2SP tlog-witness writes them, and read as strictly."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.add_checkpoint import MAX_PROOF_LINES, AddCheckpoint, format_request, parse_request
from flasktrack.errors import InvalidRequest

# The example of C2SP tlog-witness.
EXAMPLE = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501


def test_the_specifications_example_is_read_and_written() -> None:
    request = parse_request(EXAMPLE)
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert request.proof[0] == base64.b64decode("PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=")
    assert request.note.startswith("example.com/behind-the-sofa\n20852163\n")
    assert format_request(request) == EXAMPLE


@pytest.mark.parametrize(
    "change",
    [
        lambda s: "",
        lambda s: s.replace("old ", ""),
        lambda s: s.replace("old 2", "old 02"),
        lambda s: s.replace("old 2", "old -2"),
        lambda s: s.replace("old 2", "old  2"),
        lambda s: s.replace("old 2", "old \u0662"),
        lambda s: s.replace("old 20852014", "old 99999999999999999999"),
        lambda s: s.replace("\n", "\r\n"),
        lambda s: s.replace("Dpkaw=", "Dpkaw"),
        lambda s: s.replace("Dpkaw=", "Dpkax="),  # bits beyond the 32 bytes
        lambda s: s.replace("PlRNCrwH", ""),
        lambda s: s.replace("\n\n", "\n", 1),
        lambda s: s.replace("\n\n", "\n \n", 1),
        lambda s: "\n" + s,
        lambda s: s.replace("PlRN", "PlRN "),
        lambda s: s + "x" * 2_000_000,
        lambda s: s.replace("old 20852014\n", "old 20852014\n" + f"{'A' * 43}=\n" * (MAX_PROOF_LINES - 3)),
    ],
    ids=[
        "empty",
        "no old",
        "leading zero",
        "sign",
        "two spaces",
        "digits",
        "too large",
        "CRLF",
        "unpadded",
        "stray bits",
        "short hash",
        "no empty line",
        "space",
        "newline before",
        "space inside",
        "too long",
        "64 hashes",
    ],
)
def test_anything_but_the_one_way_to_write_a_request_is_refused(change: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_request(change(EXAMPLE))  # type: ignore[operator]


@given(
    st.integers(0, 2**63 - 1).filter(lambda size: size < 10**18),
    st.lists(st.binary(min_size=32, max_size=32), max_size=MAX_PROOF_LINES),
    st.text(max_size=60),
)
def test_a_request_comes_back_as_it_was_written(old: int, proof: list[bytes], note: str) -> None:
    request = AddCheckpoint(old, tuple(proof), note)
    assert parse_request(format_request(request)) == request
