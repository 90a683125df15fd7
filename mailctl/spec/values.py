"""The types of single values: one spelling each, checked once, plain text afterwards.

Every value that reaches a rendered file is one of these, so what they accept decides what can be
injected: none accepts a control character, a space where Postfix splits, or `$`.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

# RFC 5321 section 4.5.3.1: octets.
LONGEST_LOCALPART = 64
LONGEST_DOMAIN = 255
LONGEST_LABEL = 63

# RFC 5322 section 3.2.3 without `$`, which Postfix expands, and `!` and `%`, which it rewrites as old-style routes.
_ATEXT = r"[A-Za-z0-9#&'*+/=?^_`{|}~-]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
# What most mailbox names look like: nothing to fold, nothing to refuse.
_USUAL_MAILBOX_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_=-]|\.(?=[a-z0-9_=-])){0,63}")
_FOLDER_NAME = re.compile(r"[a-z0-9_][a-z0-9._=-]*")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_hostname(text: str) -> str:
    """The name of a machine: as a domain, with a hint of its own."""
    return parse_domain(text, example="mx1.example.org")


def parse_domain(text: str, *, example: str = "example.org") -> str:
    """A domain name as lower-case A-labels (RFC 5890); U-labels are accepted and converted.

    Raises:
        ValueError: not a domain name of at least two labels.
    """
    name = unicodedata.normalize("NFC", _text(text, "a domain name")).casefold()
    if not name.isascii():
        name = _to_a_labels(name)
    labels = name.split(".")
    if name.endswith("."):
        raise ValueError(f"{text!r} ends in a dot; write {name.rstrip('.')!r}")
    if len(labels) < 2:
        raise ValueError(f"{text!r} has no dot; write a fully qualified name such as {example!r}")
    if len(name) > LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is not a domain name (letters, digits and hyphens between dots)")
    if labels[-1].isdigit():
        raise ValueError(f"{text!r} is an address literal, not a domain name")
    return name


def parse_localpart(text: str) -> str:
    """The part before `@`, lower case, as a dot-atom (RFC 5321 section 4.1.2; quoted forms are refused).

    Raises:
        ValueError: empty, too long, or with a character mail servers treat specially.
    """
    localpart = unicodedata.normalize("NFC", _text(text, "a localpart")).lower()
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
    value = _text(text, "an address")
    if value.startswith(("|", "/", ":", '"')):
        raise ValueError(f"{value!r} is a command, file or include; only addresses are accepted")
    localpart, at, domain = value.rpartition("@")
    if not at:
        raise ValueError(f"{value!r} is no address; write 'localpart@domain'")
    return f"{parse_localpart(localpart)}@{parse_domain(domain)}"


def parse_alias_target(text: str) -> str:
    """An address, or a localpart that means the same domain; kept as written for the rules to resolve."""
    value = _text(text, "an address")
    if value.startswith(("|", "/", ":", '"')):
        raise ValueError(f"{value!r} is a command, file or include; only addresses are accepted")
    return parse_address(value) if "@" in value else parse_localpart(value)


def parse_alias_key(text: str) -> str:
    """A localpart, or a regular expression over the localpart between slashes.

    Raises:
        ValueError: not a localpart; or a pattern that does not compile, captures for no use, or could leave its line.
    """
    value = _text(text, "a localpart")
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
        raise ValueError(f"{value!r} is not a regular expression: {_lower(str(error))}") from error
    return value


def parse_sender_pattern(text: str) -> str:
    """An envelope sender of a route: an address or `@domain`."""
    value = _text(text, "a sender")
    if "@" not in value:
        raise ValueError(f"{value!r} is no sender; write '@{value}' for a whole domain, or 'localpart@domain'")
    return f"@{parse_domain(value[1:])}" if value.startswith("@") else parse_address(value)


def parse_recipient_pattern(text: str) -> str:
    """A recipient of a route: an address, a domain, or `.domain` for its subdomains (transport(5))."""
    value = _text(text, "a recipient")
    if "@" in value:
        return parse_address(value)
    return f".{parse_domain(value[1:])}" if value.startswith(".") else parse_domain(value)


def parse_size(text: Any) -> int:
    """Bytes from `512`, `10K`, `5M`, `2G`, `1T` (powers of 1024).

    Raises:
        ValueError: another spelling, or more than a signed 64-bit number holds.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    return _size_of(_text(text, "a size"))


@functools.cache  # a hundred thousand mailboxes have a handful of quotas
def _size_of(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write bytes, or a number with K, M, G or T, such as '5G'")
    size = int(match[1]) * _UNITS[match[2]]
    if size >= 2**62:
        raise ValueError(f"{text!r} is larger than any disk; write less than 4194304T")
    return size


def parse_duration(text: Any) -> int:
    """Seconds from `90s`, `30m`, `12h`, `180d`, `26w`.

    Raises:
        ValueError: another spelling.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _DURATION.fullmatch(_text(text, "a duration"))
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number with s, m, h, d or w, such as '180d'")
    return int(match[1]) * _SECONDS[match[2]]


def format_size(size: int) -> str:
    """The shortest spelling `parse_size` reads back to the same number of bytes."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def parse_network(text: str) -> str:
    """A network in CIDR form without host bits; a single address is its own network.

    Raises:
        ValueError: not an IP network, or one wide enough to make an open relay.
    """
    value = _text(text, "a network")
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not an IP network{_network_meant(value) or f': {error}'}") from error
    if network.prefixlen < (8 if network.version == 4 else 16):
        raise ValueError(f"{value!r} would let strangers relay; name the networks of your own machines")
    return f"[{network.network_address}]/{network.prefixlen}" if network.version == 6 else str(network)


def _network_meant(value: str) -> str:
    try:
        return f"; did you mean {str(ipaddress.ip_network(value, strict=False))!r}?"
    except ValueError:
        return ""


def parse_host(text: str) -> str:
    """A host name, an IPv4 address or an IPv6 address, without brackets."""
    value = _text(text, "a host")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return parse_hostname(value)


def parse_ip_address(text: str) -> str:
    """An IPv4 or IPv6 address in its shortest form, without brackets."""
    value = _text(text, "an IP address")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not an IP address") from error


def parse_dns_name(text: str) -> str:
    """The name of DNS records that no machine bears, so labels may start with an underscore: `_spf.example.org`."""
    value = _text(text, "a name in the DNS")
    parse_domain(re.sub(r"(^|\.)_", r"\1", value), example="_spf.example.org")
    return value.lower()


def parse_port(text: Any) -> int:
    """A TCP port, 1 to 65535, in decimal digits."""
    digits = str(text)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", digits) or int(digits) > 65535:
        raise ValueError(f"{digits!r} is not a port; write a number from 1 to 65535")
    return int(digits)


@dataclass(frozen=True, slots=True, order=True)
class NextHop:
    """Where Postfix connects: `[host]:port` without MX look-up, `host:port` with it (transport(5))."""

    host: str
    port: int
    looks_up_mx: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.looks_up_mx else f"[{self.host}]:{self.port}"


def parse_next_hop(text: str) -> NextHop:
    """`[host]:port`, `[host]`, `host:port` or `host`; brackets mean no MX look-up, the port defaults to 25.

    Raises:
        ValueError: another form, a bad host or port; an IP address without brackets.
    """
    value = _text(text, "a host and port")
    match = re.fullmatch(r"\[([^\[\]]+)\](?::(.+))?|([^\[\]:]+)(?::(.+))?", value)
    if match is None:
        raise ValueError(f"{value!r} is not a next hop; write '[smtp.example.org]:587'")
    bracketed, bracketed_port, bare, bare_port = match.groups()
    port = parse_port(bracketed_port or bare_port or 25)
    if bracketed:
        return NextHop(parse_host(bracketed.removeprefix("ipv6:")), port)
    return NextHop(parse_hostname(bare), port, looks_up_mx=True)


def parse_path(text: str) -> PurePosixPath:
    """An absolute path without `..`, spaces or characters Postfix or Dovecot treat specially."""
    value = _text(text, "a path")
    if not value.startswith("/"):
        raise ValueError(f"{value!r} is not an absolute path")
    if not re.fullmatch(r"[A-Za-z0-9/._@+=-]+", value):
        raise ValueError(f"{value!r} holds a character other than letters, digits and ._@+=-/")
    if ".." in value.split("/"):
        raise ValueError(f"{value!r} climbs with '..'; write the path it means")
    return PurePosixPath(value)


def parse_flag(value: Any) -> bool:
    """`true` or `false`; YAML's `yes` and `no` mean the same."""
    if isinstance(value, bool):
        return value
    if value in ("true", "yes"):
        return True
    if value in ("false", "no"):
        return False
    raise ValueError(f"expected true or false, found {_kind(value)}")


def parse_number(value: Any) -> int:
    """A whole number in decimal digits, without a leading zero (which would mean octal elsewhere)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"0|[1-9][0-9]{0,8}", value):
        raise ValueError(f"expected a whole number, found {_kind(value)}")
    return int(value)


def _matching(pattern: re.Pattern[str], what: str, example: str) -> Callable[[Any], str]:
    def parse(text: Any) -> str:
        value = _text(text, what)
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}; write something like {example!r}")
        return value

    return parse


parse_name = _matching(_NAME, "a name (lower-case letters, digits, hyphens)", "ses")
parse_parameter = _matching(_PARAMETER, "a parameter name of postconf(5)", "smtpd_timeout")
_parse_selector_shape = _matching(_SELECTOR, "a selector", "s2026a")


def parse_selector(text: str) -> str:
    """A DKIM selector: domain labels (RFC 6376 section 3.1); it also names a key file."""
    selector = _parse_selector_shape(text).lower()
    if len(selector) > LONGEST_LABEL:
        raise ValueError(f"{text!r} is longer than {LONGEST_LABEL} characters")
    return selector


def parse_line(text: Any) -> str:
    """One line of printable text, as the escape hatch and user names need it."""
    value = _text(text, "a line of text")
    if value != value.strip():
        raise ValueError(f"{value!r} begins or ends with a space")
    return value


def parse_setting(text: Any) -> str:
    """One line of printable text, or the empty text: a parameter of main.cf may be set to nothing."""
    if text is None:
        raise ValueError('expected a line of text, found nothing; write "" to set it to nothing')
    return text if text == "" else parse_line(text)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected {what}, found {_kind(value)}")
    if not value:
        raise ValueError(f"expected {what}, found nothing")
    if not value.isprintable():
        raise ValueError(f"{value!r} holds a control character")
    return value


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else repr(value)


def _to_a_labels(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{name!r} is not an internationalised domain name: {error}") from error


VARIABLE = "variable "


@dataclass(frozen=True, slots=True)
class Secret:
    """A value nobody may see; `origin` tells where it came from (`file secrets/ses`), never what it is.

    `path` is the file it was read from, if one.
    """

    value: str = field(repr=False)
    origin: str
    path: Path | None = field(default=None, compare=False)

    @property
    def is_from_environment(self) -> bool:
        return self.origin.startswith(VARIABLE)

    def __str__(self) -> str:
        return "********"
