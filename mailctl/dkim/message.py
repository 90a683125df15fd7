"""A message for verification: its size bounded, so that no message makes dkimpy run for minutes.

dkimpy adds up continuation lines one by one and strips white space with a search that starts anew at every blank; both
are quadratic. So long headers are refused, and the body is brought into its relaxed form here, which dkimpy then
finds unchanged.
"""

from __future__ import annotations

import re
from email.utils import getaddresses
from typing import Any

from mailctl.errors import MailctlError, printable

LARGEST_MESSAGE = 128 * 2**20  # bytes
LARGEST_HEADER = 512 * 2**10  # bytes of all fields together
LARGEST_FIELD = 100 * 2**10  # bytes; header_size_limit of Postfix
LONGEST_FROM = 4096
LONGEST_TEXT = 300  # characters of a stranger's words that are shown
_END_OF_HEADER = re.compile(rb"\n\r?\n|\A\r?\n")
_BLANKS = re.compile(rb"[\t ]+")

Field = tuple[bytes, bytes]


def require_bounded(content: bytes) -> None:
    """Raises MailctlError where the message is too large, or its header is, for its signatures to be looked at."""
    if len(content) > LARGEST_MESSAGE:
        raise MailctlError(f"the message is larger than {LARGEST_MESSAGE >> 20} MB")
    end = _END_OF_HEADER.search(content)
    header = content[: end.start() + 1] if end else content
    if len(header) > LARGEST_HEADER:
        raise MailctlError(f"the header of the message is larger than {LARGEST_HEADER >> 10} KB")
    length = 0
    for line in header.split(b"\n"):
        length = length + len(line) if line.startswith((b" ", b"\t")) else len(line)
        if length > LARGEST_FIELD:
            raise MailctlError(f"a field of the header is larger than {LARGEST_FIELD >> 10} KB")


class Bodies:
    """The canonical forms of one body, each made once however many signatures ask for it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._made: dict[str, bytes] = {}

    def canonical(self, algorithm: Any) -> bytes:
        """The body as an algorithm of dkimpy hashes it."""
        name = algorithm.name.decode()
        if name not in self._made:
            body = relaxed_body(self._body) if name == "relaxed" else self._body
            self._made[name] = algorithm.canonicalize_body(body)
        return self._made[name]


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4 but for the empty lines at the end; `body` has CRLF line ends."""
    return _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n")


def from_domains(fields: list[Field]) -> tuple[str, ...]:
    """The domains of every author named in From; more than one says that something is wrong."""
    values = [value for name, value in fields if name.lower() == b"from"]
    texts = [value[:LONGEST_FROM].decode(errors="replace").replace("\r", "").replace("\n", "") for value in values]
    try:
        addresses = [address for _, address in getaddresses(texts) if "@" in address]
    except RecursionError:  # comments in comments in comments
        addresses = []
    return tuple(dict.fromkeys(shown(address.rpartition("@")[2].lower().rstrip(".")) for address in addresses))


def shown(value: bytes | str) -> str:
    """A stranger's words: printable, and not endless."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    text = " ".join(text.split())
    return printable(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}[cut]")
