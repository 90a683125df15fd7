"""Password hashes for mailboxes, made by Dovecot itself so that it can read them."""

from __future__ import annotations

from enum import StrEnum

from mailctl.errors import MailctlError, UnfitError, UsageError
from mailctl.host import Host
from mailctl.spec.secrets import HASH

LONGEST_PASSWORD = 255
LONGEST_BLOWFISH_PASSWORD = 72


class Scheme(StrEnum):
    """Schemes of doveadm-pw(1) worth using; the first is the default."""

    ARGON2ID = "ARGON2ID"
    SHA512_CRYPT = "SHA512-CRYPT"
    BLF_CRYPT = "BLF-CRYPT"


def hash_password(host: Host, password: str, scheme: Scheme = Scheme.ARGON2ID) -> str:
    """`{SCHEME}...` for the `hash:` of a mailbox. The password reaches doveadm on stdin, never in its arguments.

    Raises:
        UsageError: an empty password, a control character in it, or too long for the scheme.
        UnfitError: doveadm is not installed.
        MailctlError: doveadm did not make a hash.
    """
    _check(password, scheme)
    if host.find_program("doveadm") is None:
        hint = "install dovecot-core; or run `openssl passwd -6` and write {SHA512-CRYPT} before what it prints"
        raise UnfitError("hashes are made by doveadm, which is not installed", hint=hint)
    # doveadm asks twice. Unless both answers match it asks on, and at the end of stdin hashes an empty password.
    answers = f"{password}\n{password}\n".encode()
    done = host.run(["doveadm", "pw", "-s", scheme.value], stdin=answers)
    found = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0 or done.stderr or not HASH.fullmatch(found):
        raise MailctlError(f"doveadm made no hash: {done.stderr.decode(errors='replace').strip() or 'no reason given'}")
    return found


def _check(password: str, scheme: Scheme) -> None:
    size = len(password.encode(errors="surrogateescape"))
    longest = LONGEST_BLOWFISH_PASSWORD if scheme is Scheme.BLF_CRYPT else LONGEST_PASSWORD
    if not password:
        raise UsageError("the password is empty")
    if not password.isprintable():
        raise UsageError("the password holds a control character, or is not UTF-8")
    if size > longest:
        raise UsageError(f"the password is longer than {longest} bytes")
