"""Opening log files, compressed or not; told apart by their first bytes, not by their names."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, BinaryIO, cast

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_LONGEST_MAGIC = 6


class LogError(Exception):
    """A log that cannot be read; the message says which and why."""


def is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_LONGEST_MAGIC).startswith((_GZIP, _BZIP2, _XZ, _ZSTD))


@contextmanager
def open_log(path: Path) -> Iterator[BinaryIO]:
    """The content of a log file, unpacked.

    Raises:
        LogError: it cannot be opened, or is damaged; what was read before the damage has been handed out.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(_LONGEST_MAGIC)
            if magic and _is_device(file):
                raise LogError(f"{path}: a device, not a log")
            file.seek(0)
            with _unpacked(file, magic) as content:
                yield cast(BinaryIO, content)
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise LogError(f"{path}: damaged: {error}") from error
    except OSError as error:
        raise LogError(f"{path}: {error.strerror or error}") from error


def _is_device(file: BinaryIO) -> bool:
    """Whether reading may never end; a terminal does, and of an empty one nothing is read anyway."""
    mode = os.fstat(file.fileno()).st_mode
    return stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not file.isatty())


def _unpacked(file: BinaryIO, magic: bytes) -> IO[bytes]:
    if magic.startswith(_GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if magic.startswith(_BZIP2):
        return bz2.BZ2File(file)
    if magic.startswith(_XZ):
        return lzma.LZMAFile(file)
    if magic.startswith(_ZSTD):
        return _open_zstd(file)
    return file


def _open_zstd(file: BinaryIO) -> IO[bytes]:
    for name in ("compression.zstd", "zstandard"):  # the standard library has it from 3.14 on
        try:
            return cast(IO[bytes], import_module(name).open(file, "rb"))
        except ImportError:
            continue
    raise LogError("zstd needs the Python package zstandard (Debian: python3-zstandard)")
