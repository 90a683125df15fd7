"""Hashes of passwords, made by the real doveadm and accepted by the spec."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import UnfitError, UsageError
from mailctl.host import LocalHost
from mailctl.spec.hash import Scheme, hash_password
from mailctl.spec.secrets import HASH, NO_PASSWORD, read_password_hash

PASSWORD = "a p$ss w'rd: پیام"
ACCEPTED = ("ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "PBKDF2")
WEAK = ("PLAIN", "CRYPT", "MD5-CRYPT", "SHA1", "SSHA", "SSHA512", "CRAM-MD5", "DES-CRYPT", "LDAP-MD5", "SCRAM-SHA-1")


def doveadm(*arguments: str) -> str:
    done = subprocess.run(["doveadm", "pw", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("scheme", Scheme)
def test_a_hash_belongs_to_its_password(scheme: Scheme, require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    found = hash_password(LocalHost(), PASSWORD, scheme)
    assert found.startswith(f"{{{scheme}}}")
    assert found != hash_password(LocalHost(), PASSWORD, scheme)
    assert "(verified)" in doveadm("-t", found, "-p", PASSWORD)
    assert read_password_hash({"hash": found}).value == found


@pytest.mark.parametrize("scheme", ACCEPTED)
@pytest.mark.parametrize("encoding", ["", ".b64", ".hex"])
def test_every_strong_scheme_of_dovecot_is_accepted(
    scheme: str, encoding: str, require_tools: Callable[..., None]
) -> None:
    require_tools("doveadm")
    assert HASH.fullmatch(doveadm("-s", f"{scheme}{encoding}", "-p", PASSWORD))


@pytest.mark.parametrize("scheme", WEAK)
def test_weak_schemes_are_refused(scheme: str, require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    with pytest.raises(ValueError, match="no password hash of a strong scheme"):
        read_password_hash({"hash": doveadm("-s", scheme, "-p", PASSWORD)})


def test_the_hash_of_a_mailbox_without_a_password_matches_nothing(require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    for password in ("!", "", "{CRYPT}!"):
        done = subprocess.run(
            ["doveadm", "pw", "-t", NO_PASSWORD.value, "-p", password], capture_output=True, check=False
        )
        assert done.returncode != 0
        assert b"(verified)" not in done.stdout


@pytest.mark.parametrize(
    ("password", "scheme", "message"),
    [
        ("", Scheme.ARGON2ID, "empty"),
        ("two\nlines", Scheme.ARGON2ID, "control character"),
        ("nul\0", Scheme.ARGON2ID, "control character"),
        ("\udcff", Scheme.ARGON2ID, "control character, or is not UTF-8"),
        ("x" * 256, Scheme.ARGON2ID, "longer than 255 bytes"),
        ("x" * 73, Scheme.BLF_CRYPT, "longer than 72 bytes"),
    ],
)
def test_passwords_doveadm_would_cut_or_misread_are_refused(password: str, scheme: Scheme, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hash_password(LocalHost(), password, scheme)


def test_the_longest_password_is_hashed_whole(require_tools: Callable[..., None]) -> None:
    require_tools("doveadm")
    password = "x" * 255
    found = hash_password(LocalHost(), password, Scheme.SHA512_CRYPT)
    assert "(verified)" in doveadm("-t", found, "-p", password)
    assert subprocess.run(["doveadm", "pw", "-t", found, "-p", password[:-1]], capture_output=True).returncode != 0


class WithoutDoveadm(LocalHost):
    def find_program(self, name: str) -> Path | None:
        return None


def test_without_doveadm_another_way_is_named() -> None:
    with pytest.raises(UnfitError, match="doveadm, which is not installed") as caught:
        hash_password(WithoutDoveadm(), "secret")
    assert "openssl passwd -6" in caught.value.hint
