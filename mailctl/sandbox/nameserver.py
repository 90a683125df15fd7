"""The resolver of a sandbox: answers for every name there is, from memory, and asks nobody."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset

from mailctl.sandbox.names import Names
from mailctl.sandbox.network import OUTSIDE_IPV4, OUTSIDE_IPV6, has_ipv6
from mailctl.sandbox.settings import ZONE, read_json

PORT = 53
TTL = 5  # seconds: records of the zone may change at any time
PLAIN_UDP_SIZE = 512  # RFC 1035 section 4.2.1

# An address in reverse before a name, RFC 5782; no address is listed anywhere.
_BLOCK_LIST_QUERY = re.compile(r"(?:\d{1,3}\.){4}|(?:[0-9a-f]\.){32}")


class Nameserver:
    """Records of the zone file first; then every name exists, has an address, and takes mail at `mx.NAME`.

    Names below `.invalid`, with a label that starts with an underscore, or of a block list do not exist.
    """

    def __init__(self, folder: Path, names: Names) -> None:
        self._zone = folder / ZONE
        self._names = names

    async def serve(self) -> None:
        """Listen on UDP and TCP at the addresses the server's resolv.conf names."""
        loop = asyncio.get_running_loop()
        for address in (OUTSIDE_IPV4, OUTSIDE_IPV6) if has_ipv6() else (OUTSIDE_IPV4,):
            await loop.create_datagram_endpoint(lambda: _Udp(self.answer), local_addr=(address, PORT))
            await asyncio.start_server(self._serve_tcp, address, PORT)

    def answer(self, wire: bytes, largest: int = 65535) -> bytes | None:
        """The reply to one query, `largest` bytes at most; None for what is no query."""
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, struct.error):
            return None
        if not query.question:
            return None
        reply = self._reply(query)
        try:
            return reply.to_wire(max_size=max(largest, query.payload) if largest < 65535 else largest)
        except dns.exception.TooBig:
            cut = dns.message.make_response(query)
            cut.flags |= dns.flags.TC
            return cut.to_wire()

    def _reply(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AA  # it is every zone's server as well
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        values = self._values(name, question.rdtype)
        if values is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif values:
            reply.answer.append(dns.rrset.from_text(question.name, TTL, "IN", question.rdtype, *values))
        return reply

    def _values(self, name: str, rdtype: dns.rdatatype.RdataType) -> list[str] | None:
        """Record data as text; empty where the name lacks the type, None where the name does not exist."""
        zone = read_json(self._zone)
        if name in zone:
            return list(zone[name].get(rdtype.name, ()))
        labels = name.split(".")
        if labels[-1] == "arpa":
            return self._reverse(name, rdtype)
        if labels[-1] == "invalid" or _BLOCK_LIST_QUERY.match(name) or any(label.startswith("_") for label in labels):
            return None
        match rdtype:
            case dns.rdatatype.A:
                return [self._names.ipv4(name)]
            case dns.rdatatype.AAAA:
                return [self._names.ipv6(name)]
            case dns.rdatatype.MX if labels[0] != "mx":
                return [f"10 mx.{name}."]
        return []

    def _reverse(self, name: str, rdtype: dns.rdatatype.RdataType) -> list[str] | None:
        try:
            address = dns.reversename.to_address(dns.name.from_text(name))
        except (dns.exception.DNSException, ValueError):
            return None
        return [f"{self._names.at(address)}."] if rdtype == dns.rdatatype.PTR else []

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                reply = self.answer(await reader.readexactly(length))
                if reply is None:
                    break
                writer.write(struct.pack("!H", len(reply)) + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has its answers
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes, int], bytes | None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._answer(data, PLAIN_UDP_SIZE)
        if reply is not None:
            self._transport.sendto(reply, addr)
