"""What pflogsumm adds to a report on request: `-e`, a few lines for each message, and `--smtpd-stats`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailctl.cli.common import Session
from mailctl.cli.log_follow import is_within
from mailctl.cli.log_input import open_source
from mailctl.cli.log_read import Request


def is_asked_for(values: Mapping[str, Any]) -> bool:
    return bool(values["e"] or values["smtpd_stats"])


@contextmanager
def readable_twice(session: Session, request: Request) -> Iterator[Request]:
    """The same request of files: what comes as a stream is copied to one first."""
    with open_source(session, request.files, request.journal, request.since) as source:
        if isinstance(source, list):
            yield replace(request, files=tuple(source), journal=False)
            return
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            yield replace(request, files=(Path(copy.name),), journal=False)


def extra_sections(request: Request, values: Mapping[str, Any], most: int) -> Iterator[str]:
    """The sections asked for; `most` clients are listed."""
    from mailctl.maillog.connections import measure_stays
    from mailctl.maillog.formats.extra import connection_times, message_detail
    from mailctl.maillog.messages import read
    from mailctl.maillog.source import blocks_of, only_named

    def is_wanted(stamp: str) -> bool:
        return is_within(stamp, request)

    def blocks() -> Iterator[bytes]:
        return only_named(blocks_of(list(request.files)), request.syslog_names)

    if values["smtpd_stats"]:
        yield connection_times(measure_stays(blocks(), is_wanted), most)
    if values["e"]:
        messages = (message for message in read(blocks()) if is_wanted(message.stamps[1]))
        yield message_detail(messages, _rename(values))


def _rename(values: Mapping[str, Any]) -> Callable[[str], str]:
    from mailctl.maillog.rename import without_bang_path

    def rename(address: str) -> str:
        address = without_bang_path(address) if values["uucp_mung"] else address
        return address.lower() if values["ignore_case"] else address

    return rename
