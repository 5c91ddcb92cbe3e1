"""Passwords are kept as RFC 9106 says, checked at the same price whoever asks, and not the first to be guessed."""

from __future__ import annotations

import pytest

from flasktrack.access import passwords
from flasktrack.access.passwords import Cost, check_new_password, check_password, hash_password, is_outdated
from flasktrack.errors import PasswordRefused


def test_the_cost_is_the_second_recommended_one_of_rfc_9106() -> None:
    assert Cost(memory=64 * 1024, passes=3, lanes=4) == passwords.COST
    assert hash_password("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.usefixtures("cheap_passwords")
def test_a_password_opens_what_it_closed_and_nothing_else_does() -> None:
    kept = hash_password("correct horse battery")
    assert hash_password("correct horse battery") != kept
    assert check_password("correct horse battery", kept)
    assert not check_password("correct horse batterz", kept)
    assert not check_password("correct horse battery", None)
    assert not check_password("correct horse battery", "correct horse battery")
    assert check_password("\u00e9" * 15, hash_password("e\u0301" * 15))  # the same, composed otherwise


def test_a_password_that_was_kept_at_another_cost_is_kept_anew(cheap_passwords: Cost) -> None:
    kept = hash_password("correct horse battery")
    assert not is_outdated(kept)
    passwords.COST = Cost(16, 2, 1)
    assert is_outdated(kept)
    assert check_password("correct horse battery", kept)


@pytest.mark.parametrize(
    "password",
    ["", "fourteen chars", "x" * 257, "a" * 20, "abababababababab", "abcdefghijklmnopq", "zyxwvutsrqponml",
     "anna.bergflasktrackanna.berg", "Anna Berg Anna Berg"],
)  # fmt: skip
def test_what_would_be_guessed_is_refused(password: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        check_new_password(password, "anna.berg", "Anna Berg")
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "password",
    [
        "a few words will do",
        "\u6b63\u3057\u3044\u99ac\u306e\u96fb\u6c60\u306e\u30db\u30c1\u30ad\u30b9\u3068\u68da\u3068",
        "q" + "0123456789abcdef" * 8,
    ],
)
def test_no_kind_of_character_is_asked_for(password: str) -> None:
    check_new_password(password, "anna.berg", "Anna Berg")
