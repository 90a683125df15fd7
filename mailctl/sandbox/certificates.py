"""A certificate authority of one sandbox; inside it, and nowhere else, its certificates are trusted."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from mailctl.errors import MailctlError
from mailctl.host import Host

LIFETIME_DAYS = "30"
# openssl reads no other configuration, so the certificates are the same on every machine.
OPENSSL_CONFIG = "[req]\ndistinguished_name = name\n[name]\n"


class Authority:
    """Issues certificates with openssl(1) in `folder`; all of them share one key pair beside the CA's own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder

    @property
    def certificate(self) -> Path:
        return self._folder / "ca.pem"

    @property
    def key(self) -> Path:
        """The private key of every certificate issued here."""
        return self._folder / "server.key"

    def create(self) -> None:
        """Make the CA and the shared key; openssl creates keys as 0600."""
        (self._folder / "openssl.cnf").write_text(OPENSSL_CONFIG)
        for key in ("ca.key", "server.key"):
            self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        self._certify("ca", "-key", "ca.key", "-subj", "/CN=mailctl lab CA", extensions=("CA:TRUE",))

    def issue(self, names: Sequence[str]) -> Path:
        """A certificate for `names` (host names or addresses), PEM; made once, then kept."""
        label = hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]
        path = self._folder / f"{label}.pem"
        if not path.exists():
            alternatives = ",".join(_alternative(name) for name in names)
            signed = ("-key", "server.key", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=mailctl lab")
            self._certify(label, *signed, extensions=("CA:FALSE", alternatives))
        return path

    def server_context(self, name: str) -> ssl.SSLContext:
        """What a server called `name` presents."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue([name]), self.key)
        return context

    def _certify(self, label: str, *arguments: str, extensions: Sequence[str]) -> None:
        constraints, *alternatives = extensions
        added = [f"basicConstraints=critical,{constraints}", *(f"subjectAltName={each}" for each in alternatives)]
        options = [word for extension in added for word in ("-addext", extension)]
        self._openssl("req", "-x509", "-days", LIFETIME_DAYS, *arguments, *options, "-out", f"{label}.pem")

    def _openssl(self, command: str, *arguments: str) -> None:
        paths = [str(self._folder / word) if word.endswith((".pem", ".key")) else word for word in arguments]
        config = ["-config", str(self._folder / "openssl.cnf")] if command == "req" else []
        done = self._host.run(["openssl", command, *config, *paths])
        if done.returncode:
            raise MailctlError(f"openssl {command} failed: {done.complaint}")


def _alternative(name: str) -> str:
    try:
        return f"IP:{ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
