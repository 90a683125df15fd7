"""The mail servers of the outside world: they take what reaches them, and record how it came.

Port 25 offers STARTTLS, 587 asks for STARTTLS and AUTH, 465 for TLS at once and AUTH. Each host presents a
certificate of its own name. Any login is good. A recipient called `defer-451` or `reject-550` (any such code)
is answered with that code.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailctl.sandbox.certificates import Authority
from mailctl.sandbox.faults import Fault, read_fault
from mailctl.sandbox.names import Names
from mailctl.sandbox.network import has_ipv6
from mailctl.sandbox.received import ReceivedMessage

MX_PORT = 25
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465
PORTS = (MX_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT)

SCRIPTED_REPLY = re.compile(r"(?:defer-(4\d\d)|reject-(5\d\d))@.*")
# struct linger: on, 0 seconds; close() then resets the connection, as a host without that service would.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class MailServers:
    """Every host of the world on every mail port, for as long as the event loop runs."""

    def __init__(self, folder: Path, names: Names, authority: Authority) -> None:
        self._folder = folder
        self._names = names
        self._authority = authority
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._issuing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    def serve(self) -> None:
        """Listen on all addresses; connections are taken once the event loop runs."""
        families = (socket.AF_INET, socket.AF_INET6) if has_ipv6() else (socket.AF_INET,)
        for port in PORTS:
            for family in families:
                listener = socket.create_server(("", port), family=family, backlog=1024)
                listener.setblocking(False)
                self._start(self._accept(listener, port))

    def record(self, server: SMTP, session: Session, envelope: Envelope, port: int) -> int:
        """Keep one message; returns its number."""
        transport = cast(asyncio.Transport, server.transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        address = transport.get_extra_info("sockname")[0]
        self._count += 1
        ReceivedMessage(
            number=self._count,
            received=datetime.now(UTC).isoformat(timespec="milliseconds"),
            host=self._names.contacted(address),
            address=address,
            port=port,
            peer=transport.get_extra_info("peername")[0],
            helo=session.host_name or "",
            tls=(tls.version() or "") if tls else "",
            login=(session.login_data or b"").decode(errors="replace") if session.authenticated else "",
            # aiosmtpd keeps the brackets of the null sender, and of no other.
            sender=(envelope.mail_from or "").removeprefix("<").removesuffix(">"),
            recipients=tuple(envelope.rcpt_tos),
            content=envelope.original_content or b"",
        ).store(self._folder)
        return self._count

    async def _accept(self, listener: socket.socket, port: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # accept(2): the client is gone already, or descriptors are short for a moment
                await asyncio.sleep(0.05)
                continue
            self._start(self._take(connection, port))

    async def _take(self, connection: socket.socket, port: int) -> None:
        try:
            host = self._names.contacted(connection.getsockname()[0])
            if fault := read_fault(self._folder, host):
                await self._disturb(connection, fault)
                return
            context = await self._context(host)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._session(host, port, context),
                connection,
                ssl=context if port == SUBMISSIONS_PORT else None,
            )
        except OSError as error:  # a client that went away, or does not trust us: TLS errors are OSErrors too
            sys.stderr.write(f"port {port}: {error}\n")
            connection.close()

    async def _disturb(self, connection: socket.socket, fault: Fault) -> None:
        if fault.greeting:
            await asyncio.get_running_loop().sock_sendall(connection, fault.greeting)
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.close()

    async def _context(self, host: str) -> ssl.SSLContext:
        async with self._issuing:
            if host not in self._contexts:
                self._contexts[host] = await asyncio.to_thread(self._authority.server_context, host)
        return self._contexts[host]

    def _session(self, host: str, port: int, context: ssl.SSLContext) -> SMTP:
        has_tls_already = port == SUBMISSIONS_PORT
        return SMTP(
            _Handler(self, port),
            hostname=host,
            ident="outside world",
            data_size_limit=None,
            tls_context=None if has_tls_already else context,
            require_starttls=port == SUBMISSION_PORT,
            auth_require_tls=not has_tls_already,
            authenticator=_accept_any_login,
            loop=asyncio.get_running_loop(),
        )

    def _start(self, work: Any) -> None:
        # The event loop keeps weak references only.
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Handler:
    """The hooks of aiosmtpd for one connection."""

    def __init__(self, servers: MailServers, port: int) -> None:
        self._servers = servers
        self._port = port

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._port != MX_PORT and not session.authenticated:
            return "530 5.7.0 authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender accepted"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if scripted := SCRIPTED_REPLY.fullmatch(address):
            code = scripted[1] or scripted[2]
            return f"{code} {code[0]}.0.0 as the recipient asks"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient accepted"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return f"250 2.0.0 recorded as message {self._servers.record(server, session, envelope, self._port)}"


def _accept_any_login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: LoginPassword
) -> AuthResult:
    # The password may be a real one: it is looked at, and forgotten.
    return AuthResult(success=bool(credentials.password), auth_data=LoginPassword(credentials.login, b""))
