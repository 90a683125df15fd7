"""The rest of the world, as far as mail goes: a server that takes whatever it is given and keeps it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiosmtpd.controller import Controller

DOMAIN = "outside.example"


@dataclass(frozen=True)
class Received:
    """A message and its envelope; `client` is the address it came from."""

    client: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes


class OutsideServer:
    """The mail server of `outside.example`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.received: list[Received] = []
        self._controller = Controller(self, hostname=address, port=25, server_hostname=f"mx.{DOMAIN}")
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        recipients = tuple(envelope.rcpt_tos)
        self.received.append(Received(session.peer[0], envelope.mail_from, recipients, envelope.content))
        return "250 2.0.0 kept"

    def wait_for(self, text: bytes, timeout: float = 60) -> Received:
        """The message that holds `text`, which may take up to `timeout` seconds to arrive."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for message in list(self.received):
                if text in message.content:
                    return message
            time.sleep(0.05)
        raise AssertionError(f"{text!r} did not arrive in {timeout} s; got {self.received}")

    def stop(self) -> None:
        self._controller.stop()
