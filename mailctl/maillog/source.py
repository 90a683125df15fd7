"""Where log lines come from: files, open streams, iterables; always handed on as blocks of whole lines."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from mailctl.maillog.compressed import LogError, open_log
from mailctl.maillog.journal import as_syslog

BLOCK = 1 << 18
"""Bytes read at once: what fits into the cache of a processor is counted faster."""

LONGEST_LINE = 8 << 20
"""Bytes; of a longer line only about so much is looked at, and it is counted once."""

ENDLESS = 1 << 30
"""Bytes; what has no line end in so many is no log, and may go on for ever."""

Source = str | os.PathLike[str] | BinaryIO | Iterable[bytes | str] | Iterable[os.PathLike[str]]
"""A path, a list of paths (as Path: a text in a list is a log line), a binary stream, or lines as bytes or text."""


def files_of(source: Source) -> list[Path] | None:
    """The files that `source` names; None when it is lines or a stream."""
    if isinstance(source, str | os.PathLike):
        return [Path(source)]
    if isinstance(source, list | tuple) and source and all(isinstance(item, os.PathLike) for item in source):
        return [Path(item) for item in source]
    return None


def blocks_of(source: Source) -> Iterator[bytes]:
    """Blocks of whole lines, each ending in a newline."""
    files = files_of(source)
    if files is not None:
        for file in files:
            yield from blocks_of_file(file)
    elif hasattr(source, "read"):
        yield from blocks_of_stream(cast(BinaryIO, source))
    else:
        yield from _blocks_of_lines(cast(Iterable[bytes | str], source))


def only_named(blocks: Iterable[bytes], names: Collection[str]) -> Iterator[bytes]:
    """The lines of programs that log under one of these syslog_names, such as `postfix-out`; all if none is named."""
    if not names:
        yield from blocks
        return
    alternatives = b"|".join(re.escape(name.encode(errors="surrogateescape")) for name in names)
    wanted = re.compile(rb"^(?:\d{4}-\S+|[^\n]{15}) \S+ (?:%s)/[^\n]*\n" % alternatives, re.MULTILINE)
    for block in blocks:
        yield b"".join(wanted.findall(block))


def blocks_of_file(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The lines of a file from byte `start` to byte `end` of its unpacked content; both begin a line."""
    with open_log(path) as stream:
        if start:
            stream.seek(start)
        yield from blocks_of_stream(stream, None if end is None else end - start)


def blocks_of_stream(stream: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """The next `size` bytes of a stream, or all that follow; a last line without newline gets one."""
    left = size
    while block := stream.read(BLOCK if left is None else min(BLOCK, left)):
        if not block.endswith(b"\n"):
            block += _rest_of_line(stream)
        if left is not None:
            left = max(0, left - len(block))
        yield as_syslog(block)


def _rest_of_line(stream: BinaryIO) -> bytes:
    rest = stream.readline(LONGEST_LINE)
    end, size = rest, len(rest)
    while end and not end.endswith(b"\n"):
        if size > ENDLESS:
            raise LogError(f"this is no log: no line ends within {ENDLESS >> 20} MiB")
        end = stream.readline(LONGEST_LINE)  # too long: its middle is not looked at
        size += len(end)
    return rest if rest.endswith(b"\n") else rest + b"\n"


def _blocks_of_lines(lines: Iterable[bytes | str]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode(errors="surrogateescape") if isinstance(line, str) else bytes(line)
        held.append(data.removesuffix(b"\n"))
        size += len(data)
        if size >= BLOCK:
            yield as_syslog(b"\n".join(held) + b"\n")
            held, size = [], 0
    if held:
        yield as_syslog(b"\n".join(held) + b"\n")
