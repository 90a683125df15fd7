"""One Debian host: booted in a container, reached over ssh, ended like a machine that loses power."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.hosts.harness import cgroups
from tests.hosts.harness.commands import DIE_WITH_US, HarnessError
from tests.hosts.harness.images import REPOSITORY
from tests.hosts.harness.layers import mount_overlay
from tests.hosts.harness.network import Bridge
from tests.hosts.harness.waiting import is_listening, wait_until

# A host outlives a killed systemd-nspawn, but not the process id name space both are in.
IN_ONE_LIFE = ("unshare", "--pid", "--mount-proc", "--fork", "--kill-child", "--")
# It begins when its input ends: by then it is in its control group.
WHEN_TOLD = ("sh", "-c", 'cat; exec "$@" </dev/null', "sh")
BOOT_TIMEOUT = 180.0  # seconds; two on a quiet machine
NETWORK = """\
[Match]
Name=host0
[Network]
Address={address}/24
LinkLocalAddressing=ipv6
"""


class DebianHost:
    """`root` is the host's file system, seen and written from the controller, also while it is down."""

    def __init__(self, name: str, domain: str, address: str, number: int, folder: Path) -> None:
        self.name = name
        self.fqdn = f"{name}.{domain}"
        self.address = address
        self.machine = f"{name}-{number}"  # one name space for all runs of the controller
        self._group = f"mailctl{number}-{name}"
        self.folder = folder
        self.root = folder / "root"
        self.ssh_config = folder.parent / "ssh_config"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, layers: tuple[Path, ...], public_key: str, nameserver: str) -> None:
        """Lay the host's own files over `layers`."""
        mount_overlay(self.root, self.folder / "changes", layers)
        files = {
            "etc/hostname": f"{self.fqdn}\n",
            "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{self.address} {self.fqdn} {self.name}\n",
            "etc/resolv.conf": f"nameserver {nameserver}\n",
            "etc/systemd/network/10-host0.network": NETWORK.format(address=self.address),
            "root/.ssh/authorized_keys": public_key,
        }
        for path, text in files.items():
            (self.root / path).parent.mkdir(mode=0o700, exist_ok=True)
            (self.root / path).write_text(text)

    def power_on(self, bridge: Bridge, packages: Path) -> None:
        """Boot it; it is not up yet."""
        options = (
            *("--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe", "--resolv-conf=off"),
            *(f"--directory={self.root}", f"--machine={self.machine}", f"--network-bridge={bridge.name}"),
            f"--bind-ro={packages}:{REPOSITORY}",
        )
        with self._console.open("ab") as console:
            command = [*DIE_WITH_US, *WHEN_TOLD, *IN_ONE_LIFE, "systemd-nspawn", *options]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=console, stderr=console)
        cgroups.join(self._group, self._process.pid)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait_until_up(self) -> None:
        """Return once every unit has started.

        Raises:
            HarnessError: one failed, or the boot took too long.
        """
        try:
            wait_until(lambda: is_listening(self.address, 22), "no sshd answers", BOOT_TIMEOUT)
            state = self.run("systemctl", "is-system-running", "--wait", check=False, timeout=BOOT_TIMEOUT).stdout
            if state.strip() != "running":
                failed = self.run("systemctl", "--no-pager", "--failed", check=False).stdout
                raise HarnessError(f"{self.name} is {state.strip()}\n{failed}")
        except (AssertionError, HarnessError, subprocess.TimeoutExpired) as error:
            raise HarnessError(f"{self.name} did not boot: {error}\n{self._console.read_text()[-2000:]}") from error

    def power_off(self) -> None:
        """Take the power away: everything in it is killed at once."""
        if self._process is None:
            return
        self._close_connection()
        self._process.kill()
        self._process.wait()
        self._process = None
        self._unplug()
        cgroups.remove(self._group)

    def run(
        self, *command: str, check: bool = True, stdin: str = "", timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host, over ssh.

        Raises:
            AssertionError: it failed and `check` is set; with all it said.
        """
        argv = ["ssh", "-F", str(self.ssh_config), self.name, "--", shlex.join(command)]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"{self.name}: {shlex.join(command)}: exit {done.returncode}\n{said}")
        return done

    def shell(self, script: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a line of shell on the host."""
        return self.run("sh", "-c", script, check=check, timeout=timeout)

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's, with the folders it needs."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def _unplug(self) -> None:
        """Remove the link; without it no host of the same name boots.

        The kernel does so only with the last connection of the dead host, which stays for minutes where nobody
        acknowledges its end. Where the kernel is first, there is nothing to delete.
        """
        subprocess.run(["ip", "link", "delete", self._link.name], capture_output=True)
        wait_until(lambda: not self._link.exists(), f"{self._link} is still there")

    def _close_connection(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            argv = ["ssh", "-F", str(self.ssh_config), "-O", "exit", self.name]
            subprocess.run(argv, capture_output=True, timeout=10)

    @property
    def _console(self) -> Path:
        return self.folder / "console.log"

    @property
    def _link(self) -> Path:
        return Path("/sys/class/net", f"vb-{self.machine}")
