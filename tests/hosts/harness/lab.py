"""Everything hosts need around them, made by one run and cleared away with it."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from mailctl.host import CLEAN_ENVIRONMENT
from tests.hosts.harness import network, outside
from tests.hosts.harness.cache import cached
from tests.hosts.harness.commands import run
from tests.hosts.harness.images import Image, Images, cached_images
from tests.hosts.harness.layers import overlay, run_inside
from tests.hosts.harness.machine import DebianHost
from tests.hosts.harness.network import Bridge, Zone
from tests.hosts.harness.outside import OutsideServer
from tests.hosts.harness.slot import Slot
from tests.hosts.harness.wheels import make_wheelhouse, needed_wheels

PROGRAMS = ("mmdebstrap", "systemd-nspawn", "dnsmasq", "apt-ftparchive", "ssh", "ssh-keygen", "setpriv", "ip")
WHEELS = "/srv/wheels"  # in the host
VENV = "/opt/mailctl"
SSH_CONFIG = """\
Host *
    User root
    IdentityFile {folder}/key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
    ConnectTimeout 10
    ServerAliveInterval 5
    ControlMaster auto
    ControlPath {folder}/ssh-%n
    ControlPersist 600
"""


def missing_programs() -> list[str]:
    """What must be installed before a lab can be made."""
    return [name for name in PROGRAMS if shutil.which(name, path=CLEAN_ENVIRONMENT["PATH"]) is None]


class Lab:
    """A bridge, its DNS, an outside world, and the hosts booted on it."""

    def __enter__(self) -> Self:
        self._images: Images = cached_images()
        with ExitStack() as undo:
            self._slot = Slot()
            undo.callback(self._slot.release)
            self.folder = self._slot.folder
            self.bridge = Bridge(self._slot)
            undo.callback(self.bridge.remove)
            self.zone = Zone(self.controller, self.folder)
            undo.callback(self.zone.stop)
            self.outside = OutsideServer(self.bridge.address(network.OUTSIDE))
            undo.callback(self.outside.stop)
            self.zone.host(f"mx.{outside.DOMAIN}", self.outside.address)
            self.zone.mail_domain(outside.DOMAIN, f"mx.{outside.DOMAIN}")
            self.hosts: dict[str, DebianHost] = {}
            self._count = 0
            self._make_ssh_files()
            undo.callback(self.discard_all)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def controller(self) -> str:
        """The address of the machine the tests run on."""
        return self.bridge.address(network.CONTROLLER)

    @cached_property
    def wheelhouse(self) -> Path:
        """mailctl of this checkout and what it needs, as wheels."""
        return make_wheelhouse(self.folder / "wheels")

    def boot(self, *names: str, image: Image = Image.FRESH) -> list[DebianHost]:
        """New hosts, up and reachable; `mx1` is mx1.example.org. A host of the same name is discarded."""
        layers = self._layers(image)
        booted = [self._start(name, layers) for name in names]
        for each in booted:
            each.wait_until_up()
        return booted

    def reboot(self, host: DebianHost) -> None:
        """Power off, power on; `power_on` and `wait_until_up` of the host do it in steps."""
        host.power_off()
        self.power_on(host)
        host.wait_until_up()

    def power_on(self, host: DebianHost) -> None:
        host.power_on(self.bridge, self._images.packages)

    def discard(self, host: DebianHost) -> None:
        """Take the power from a host and forget its disk."""
        host.power_off()
        run("umount", host.root)
        del self.hosts[host.name]

    def discard_all(self) -> None:
        for host in list(self.hosts.values()):
            self.discard(host)

    def _start(self, name: str, layers: tuple[Path, ...]) -> DebianHost:
        if name in self.hosts:
            self.discard(self.hosts[name])
        # Its own number each time: nothing remembers the last host of that name under this address.
        address = self.bridge.address(network.FIRST_HOST + self._count)
        self._count += 1
        folder = self.folder / f"{name}.{self._count}"
        host = DebianHost(name, network.DOMAIN, address, self._slot.number, folder)
        host.prepare(layers, (self.folder / "key.pub").read_text(), self.controller)
        self.hosts[name] = host
        self._name_hosts()
        self.power_on(host)
        return host

    def _layers(self, image: Image) -> tuple[Path, ...]:
        return self._mailctl_layers if image is Image.MAILCTL else self._images.layers(image)

    @cached_property
    def _mailctl_layers(self) -> tuple[Path, ...]:
        """What installing mailctl adds to `mail`: this checkout over what it needs, which is cached."""
        mail = self._images.layers(Image.MAIL)
        wheels = needed_wheels()
        key = f"{self._images.folder.name}-{wheels.name}"
        needed = cached("venv", key, lambda folder: _make_venv(folder, mail, wheels))
        layers = (needed / "venv", *mail)
        with overlay(self.folder / "mailctl", layers) as root:
            _install(root, self.wheelhouse, "--no-deps", "mailctl")
            (root / "usr/local/bin/mailctl").symlink_to(f"{VENV}/bin/mailctl")
        return (self.folder / "mailctl", *layers)

    def _make_ssh_files(self) -> None:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test hosts", "-f", self.folder / "key")
        # All hosts have the key their image was made with.
        host_key = self._images.layers(Image.FRESH)[-1] / "etc/ssh/ssh_host_ed25519_key.pub"
        (self.folder / "known_hosts").write_text(f"* {host_key.read_text()}")
        self._name_hosts()

    def _name_hosts(self) -> None:
        names = [f"Host {host.name} {host.fqdn}\n    HostName {host.address}\n" for host in self.hosts.values()]
        (self.folder / "ssh_config").write_text("".join(names) + SSH_CONFIG.format(folder=self.folder))
        for host in self.hosts.values():
            self.zone.host(f"{host.fqdn},{host.name}", host.address)


def _make_venv(folder: Path, layers: tuple[Path, ...], wheels: Path) -> None:
    with overlay(folder / "venv", layers) as root:
        run_inside(root, "python3", "-m", "venv", VENV)
        _install(root, wheels, *(wheel.name.split("-")[0] for wheel in wheels.glob("*.whl")))


def _install(root: Path, wheels: Path, *arguments: str) -> None:
    pip = (f"{VENV}/bin/pip", "install", "--quiet", "--no-index", "--find-links", WHEELS, *arguments)
    run_inside(root, *pip, options=(f"--bind-ro={wheels}:{WHEELS}",))
