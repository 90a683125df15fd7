"""Lines of `journalctl -o json` as lines of syslog; systemd.journal-fields(7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

BOM = b"\xef\xbb\xbf"
"""What editors of other systems put before UTF-8."""


def as_syslog(block: bytes) -> bytes:
    """A block of whole lines with its journal entries rewritten; other lines stay as they are, without a BOM."""
    if block.startswith(BOM):
        block = block[len(BOM) :]
    # Most blocks have no brace at all, and looking for a single byte is much faster than for two.
    if b"{" not in block or (block[:1] != b"{" and b"\n{" not in block):
        return block
    return b"".join(_as_line(line) + b"\n" for line in block.split(b"\n")[:-1])


def cursor_of(entry: bytes) -> str:
    """The place of an entry in the journal; empty where it is none."""
    try:
        return str(json.loads(entry)["__CURSOR"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _as_line(line: bytes) -> bytes:
    if not line.startswith(b"{"):
        return line
    try:
        entry = json.loads(line)
        moment = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
        program = _field(entry, "SYSLOG_IDENTIFIER") or _field(entry, "_COMM")
        process = _field(entry, "SYSLOG_PID") or _field(entry, "_PID") or b"0"
        host = _field(entry, "_HOSTNAME") or b"-"
        text = _field(entry, "MESSAGE").replace(b"\n", b"#012")
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return line  # counted as not understood
    stamp = moment.isoformat(timespec="microseconds").encode()
    return b"%s %s %s[%s]: %s" % (stamp, _word(host), _word(program), _word(process), text)


def _field(entry: dict[str, Any], name: str) -> bytes:
    """A field is text, or a list of bytes where it is not printable UTF-8; null when it is too long."""
    value = entry.get(name) or ""
    return bytes(value) if isinstance(value, list) else str(value).encode(errors="surrogateescape")


def _word(text: bytes) -> bytes:
    return b"_".join(text.split())
