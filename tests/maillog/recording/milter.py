"""A milter that refuses: recipients named `milter-...` at RCPT, subjects named so at the end of a message.

The protocol is that of libmilter: a length of four bytes, a command of one, its data.
"""

from __future__ import annotations

import socketserver
import struct

PORT = 8899


class Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        subject = b""
        while header := self.rfile.read(4):
            data = self.rfile.read(struct.unpack(">I", header)[0])
            command, data = data[:1], data[1:]
            if command == b"O":  # negotiate: version 6, no actions, all steps
                self.answer(b"O" + struct.pack(">III", 6, 0, 0))
            elif command == b"R" and data.startswith(b"<milter-"):
                self.answer(b"y450 4.7.1 not today\0" if b"milter-later" in data else b"y550 5.7.1 not you\0")
            elif command == b"L":
                name, value, _ = data.split(b"\0")
                subject = value if name == b"Subject" else subject
                self.answer(b"c")
            elif command == b"E":
                self.answer({b"milter-reject": b"r", b"milter-tempfail": b"t"}.get(subject, b"c"))
            elif command == b"Q":
                return
            elif command not in (b"D", b"A"):
                self.answer(b"c")

    def answer(self, data: bytes) -> None:
        self.wfile.write(struct.pack(">I", len(data)) + data)


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer(("127.0.0.1", PORT), Session).serve_forever()
