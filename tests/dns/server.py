"""A DNS server on loopback whose whole world is one zone file, and whose faults are data.

It answers as a recursive server does (RA, CNAMEs followed), or as an authoritative one to a question without RD.
"""

from __future__ import annotations

import errno
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

ADDRESS = "127.0.0.1"
MOST_CNAMES = 10
MOST_PORTS = 20

# What a name and type may do instead of answering.
FAULTS = {
    "servfail": "SERVFAIL, whatever is asked",
    "bogus": "SERVFAIL to those who want validated answers, data to those who do not (CD)",
    "bogus-ede": "SERVFAIL with the extended error 'DNSSEC bogus'",
    "refused": "REFUSED",
    "silent": "no reply at all",
    "garbage": "a reply that is no DNS message",
    "lame": "an answer without AA",
    "unsigned": "an answer nobody validated, without AD",
}


class World:
    """Records of a zone file rooted at `.`, and faults by `NAME TYPE` or `NAME`; `*` as a name means every one."""

    def __init__(self, zone: str, faults: Mapping[str, str] | None = None) -> None:
        text = f"$ORIGIN .\n$TTL 300\n. SOA . . 1 1 1 1 60\n. NS .\n{zone}"
        self._zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
        self._names = {each for name in self._zone for each in _with_parents(name)}
        self._faults = dict(faults or {})
        self.asked: list[tuple[str, str, str]] = []
        self.failures: list[str] = []

    def reply(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, rdtype = question.name, question.rdtype
        text = name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(rdtype)
        self.asked.append((text, kind, transport))
        fault = next((self._faults[key] for key in (f"{text} {kind}", text, "*") if key in self._faults), "")
        if fault == "silent":
            return None
        if fault == "garbage":
            return wire[:2] + b"\xff" * 20
        answer = dns.message.make_response(query, recursion_available=bool(query.flags & dns.flags.RD))
        wants_data = bool(query.flags & dns.flags.CD)
        if fault == "servfail" or (fault.startswith("bogus") and not wants_data):
            answer.set_rcode(dns.rcode.SERVFAIL)
            if fault == "bogus-ede":
                answer.use_edns(
                    0, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "no valid\x1b[31m RRSIG")]
                )
        elif fault == "refused":
            answer.set_rcode(dns.rcode.REFUSED)
        else:
            self._fill(answer, name, rdtype)
            if not query.flags & dns.flags.RD and fault != "lame":
                answer.flags |= dns.flags.AA
            if query.flags & dns.flags.AD and fault != "unsigned":
                answer.flags |= dns.flags.AD
        return _to_wire(answer, query, transport)

    def _fill(self, answer: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> None:
        for _ in range(MOST_CNAMES):
            owner = self._owner(name)
            if owner is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
                return
            found = self._zone.get_rdataset(owner, rdtype)
            if found:
                answer.answer.append(_as_rrset(name, found))
                return
            alias = self._zone.get_rdataset(owner, dns.rdatatype.CNAME)
            if not alias:
                return
            answer.answer.append(_as_rrset(name, alias))
            name = alias[0].target

    def _owner(self, name: dns.name.Name) -> dns.name.Name | None:
        """Whose records answer for `name`: its own, or the nearest wildcard's; None where it does not exist."""
        if name in self._names:
            return name
        above = name.parent()
        while above not in self._names:
            above = above.parent()
        wildcard = dns.name.Name((b"*", *above.labels))
        return wildcard if wildcard in self._names else None


def _with_parents(name: dns.name.Name) -> Iterator[dns.name.Name]:
    yield name
    while name != dns.name.root:
        name = name.parent()
        yield name


def _as_rrset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))


def _to_wire(answer: dns.message.Message, query: dns.message.Message, transport: str) -> bytes:
    largest = 65535 if transport == "tcp" else max(query.payload, 512)
    try:
        return answer.to_wire(max_size=largest)
    except dns.exception.TooBig:
        cut = dns.message.make_response(query)
        cut.flags |= dns.flags.TC | (answer.flags & dns.flags.AA)
        return cut.to_wire()


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, socket = self.request
        reply = self.server.world.reply(wire, "udp")
        if reply is not None:
            socket.sendto(reply, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        (length,) = struct.unpack("!H", self.rfile.read(2))
        reply = self.server.world.reply(self.rfile.read(length), "tcp")
        if reply is not None:
            self.wfile.write(struct.pack("!H", len(reply)) + reply)


class _Remembering:
    """Keeps what went wrong for the end of the test: the client sees nothing but silence."""

    world: World

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.world.failures.append(repr(error))


class _UdpServer(_Remembering, socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class _TcpServer(_Remembering, socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _on_one_port(address: str) -> tuple[_TcpServer, _UdpServer]:
    """Both with the same number; where another program has it for UDP, they take the next that is free."""
    for _ in range(MOST_PORTS):
        tcp = _TcpServer((address, 0), _Tcp)
        try:
            return tcp, _UdpServer(tcp.server_address, _Udp)
        except OSError as error:
            tcp.server_close()
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free for both TCP and UDP")


@contextmanager
def serving(world: World, address: str = ADDRESS) -> Iterator[int]:
    """The port, UDP and TCP, at which `world` answers."""
    tcp, udp = _on_one_port(address)
    with tcp, udp:
        for server in (tcp, udp):
            server.world = world
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield tcp.server_address[1]
        udp.shutdown()
        tcp.shutdown()
    assert not world.failures, "the server of the test failed"
