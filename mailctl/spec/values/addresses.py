"""Mail addresses, their parts, and the patterns of aliases and routes."""

from __future__ import annotations

import re
import unicodedata
import warnings

from mailctl.spec.values.domains import parse_domain
from mailctl.spec.values.text import lower_first, text_of

# RFC 5321 section 4.5.3.1: octets.
LONGEST_LOCALPART = 64
# RFC 5322 section 3.2.3 without `$`, which Postfix expands, and `!` and `%`, which it rewrites as old-style routes.
_ATEXT = r"[A-Za-z0-9#&'*+/=?^_`{|}~-]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
# What most mailbox names look like: nothing to fold, nothing to refuse.
_USUAL_MAILBOX_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_=-]|\.(?=[a-z0-9_=-])){0,63}")
_FOLDER_NAME = re.compile(r"[a-z0-9_][a-z0-9._=-]*")


def parse_localpart(text: str) -> str:
    """The part before `@`, lower case, as a dot-atom (RFC 5321 section 4.1.2; quoted forms are refused).

    Raises:
        ValueError: empty, too long, or with a character mail servers treat specially.
    """
    localpart = unicodedata.normalize("NFC", text_of(text, "a localpart")).lower()
    if "@" in localpart:
        raise ValueError(f"{text!r} holds an @; write only the part before it")
    if not localpart.isascii():
        raise ValueError(f"{text!r} is not ASCII; internationalised localparts need SMTPUTF8, which Dovecot 2.3 lacks")
    if len(localpart) > LONGEST_LOCALPART:
        raise ValueError(f"{text!r} is longer than {LONGEST_LOCALPART} characters")
    if not _DOT_ATOM.fullmatch(localpart):
        raise ValueError(f"{text!r} is not a localpart (letters, digits and #&'*+-/=?^_`{{|}}~ with single dots)")
    if localpart.startswith(("#", "-", "|", "/")):
        raise ValueError(f"{text!r} starts with {localpart[0]!r}, which lookup tables or commands would misread")
    return localpart


def parse_mailbox_name(text: str) -> str:
    """A localpart that is also safe as a folder name and free of `+`, which would never match.

    Raises:
        ValueError: as parse_localpart, or it holds `/`, `+`, or a character Dovecot's `%n` would change.
    """
    if isinstance(text, str) and _USUAL_MAILBOX_NAME.fullmatch(text):
        return text
    name = parse_localpart(text)
    if "+" in name:
        raise ValueError(
            f"{text!r} can never match: mail to it is delivered to {name.split('+')[0]!r} (recipient_delimiter)"
        )
    if not _FOLDER_NAME.fullmatch(name):
        raise ValueError(f"{text!r} does not make a folder name; use letters, digits, dots, hyphens and underscores")
    return name


def parse_address(text: str) -> str:
    """`localpart@domain`, both parts as above.

    Raises:
        ValueError: no address of RFC 5321 section 4.1.2, or a command, file or include of aliases(5).
    """
    value = text_of(text, "an address")
    if value.startswith(("|", "/", ":", '"')):
        raise ValueError(f"{value!r} is a command, file or include; only addresses are accepted")
    localpart, at, domain = value.rpartition("@")
    if not at:
        raise ValueError(f"{value!r} is no address; write 'localpart@domain'")
    if "@" in localpart:
        raise ValueError(f"{value!r} holds more than one @; write one address")
    if not localpart or not domain:
        raise ValueError(f"{value!r} has nothing {'after' if localpart else 'before'} its @; write 'localpart@domain'")
    return f"{parse_localpart(localpart)}@{parse_domain(domain)}"


def parse_alias_target(text: str) -> str:
    """An address, or a localpart that means the same domain; kept as written for the rules to resolve."""
    value = text_of(text, "an address")
    if value.startswith(("|", "/", ":", '"')):
        raise ValueError(f"{value!r} is a command, file or include; only addresses are accepted")
    return parse_address(value) if "@" in value else parse_localpart(value)


def parse_alias_key(text: str) -> str:
    """A localpart, or a regular expression over the localpart between slashes.

    Raises:
        ValueError: not a localpart; or a pattern that does not compile, captures for no use, or could leave its line.
    """
    value = text_of(text, "a localpart")
    if not value.startswith("/"):
        return parse_localpart(value)
    if len(value) < 3 or not value.endswith("/"):
        raise ValueError(f"{value!r} starts a regular expression; write '/^ticket-[0-9]+$/'")
    pattern = value[1:-1]
    if not pattern.isascii() or any(char in pattern for char in "/@ ") or not pattern.isprintable():
        raise ValueError(f"{value!r} must be printable ASCII without /, @ or space: it sees the localpart only")
    if not (pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith(r"\$")):
        raise ValueError(f"{value!r} would match parts of other addresses; anchor it: '/^...$/'")
    if "(?" in pattern or re.search(r"\\[^dws.\-+*?()\[\]{}|^$\\]", pattern):
        raise ValueError(f"{value!r} uses a construct that differs between engines; keep to plain groups and classes")
    try:
        with warnings.catch_warnings():
            # What Python warns of (`[[`, `--`, `&&` in a class) is what engines read differently.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, FutureWarning) as error:
        raise ValueError(f"{value!r} is not a regular expression: {lower_first(str(error))}") from error
    return value


def parse_sender_pattern(text: str) -> str:
    """An envelope sender of a route: an address or `@domain`."""
    value = text_of(text, "a sender")
    if "@" not in value:
        raise ValueError(f"{value!r} is no sender; write '@{value}' for a whole domain, or 'localpart@domain'")
    return f"@{parse_domain(value[1:])}" if value.startswith("@") else parse_address(value)


def parse_recipient_pattern(text: str) -> str:
    """A recipient of a route: an address, a domain, or `.domain` for its subdomains (transport(5))."""
    value = text_of(text, "a recipient")
    if "@" in value:
        return parse_address(value)
    return f".{parse_domain(value[1:])}" if value.startswith(".") else parse_domain(value)
