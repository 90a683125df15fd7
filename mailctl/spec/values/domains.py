"""Domain names, host names, names in the DNS, selectors."""

from __future__ import annotations

import re
import unicodedata

from mailctl.spec.values.text import matching, text_of

# RFC 1035 section 2.3.4: octets.
LONGEST_DOMAIN = 255
LONGEST_LABEL = 63
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")


def parse_hostname(text: str) -> str:
    """The name of a machine: as a domain, with a hint of its own."""
    return parse_domain(text, example="mx1.example.org")


def parse_domain(text: str, *, example: str = "example.org") -> str:
    """A domain name as lower-case A-labels (RFC 5890); U-labels are accepted and converted.

    Raises:
        ValueError: not a domain name of at least two labels.
    """
    name = unicodedata.normalize("NFC", text_of(text, "a domain name")).casefold()
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


def _to_a_labels(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{name!r} is not an internationalised domain name: {error}") from error


def parse_dns_name(text: str) -> str:
    """The name of DNS records that no machine bears, so labels may start with an underscore: `_spf.example.org`."""
    value = text_of(text, "a name in the DNS")
    parse_domain(re.sub(r"(^|\.)_", r"\1", value), example="_spf.example.org")
    return value.lower()


_parse_selector_shape = matching(_SELECTOR, "a selector", "s2026a")


def parse_selector(text: str) -> str:
    """A DKIM selector: domain labels (RFC 6376 section 3.1); it also names a key file."""
    selector = _parse_selector_shape(text).lower()
    if len(selector) > LONGEST_LABEL:
        raise ValueError(f"{text!r} is longer than {LONGEST_LABEL} characters")
    return selector
