"""What the server of a sandbox sees: the host's files, with all it writes kept in memory and gone at its end.

/etc and /var are overlays, /run, /dev and /proc its own. Everything else is the host's, seen as it is; in a
sealed one it cannot be written, and /tmp is its own as well.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
from pathlib import Path

from mailctl.errors import MailctlError
from mailctl.host import Host
from mailctl.sandbox.mounts import list_disks_below, make_all_read_only
from mailctl.sandbox.network import OUTSIDE_IPV4, SERVER_IPV4, SERVER_IPV6
from mailctl.sandbox.settings import Settings

OVERLAYS = (Path("/etc"), Path("/var"))
SCRATCH = Path("/run")
OWN_TREES = (Path("/run"), Path("/dev"), Path("/proc"))
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
TMPFILES = Path("/usr/lib/tmpfiles.d")
FIRST_FREE_ID = 5000


def make_filesystem(host: Host, settings: Settings, folder: Path) -> None:
    """Mount it all; `folder` is the sandbox's own, of which the CA certificate is read.

    Raises:
        MailctlError: the kernel or the file system of the host refuses a mount.
    """
    authority = (folder / "ca.pem").read_bytes()
    visible = {Path(path) for path in settings.visible} - {*OVERLAYS, *OWN_TREES}
    held = {path: os.open(path, os.O_PATH) for path in sorted(visible) if path.exists()}
    devices = {Path("/dev", name): os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    empty = [Path(path) for path in settings.empty]
    disks = [disk for disk in list_disks_below(OVERLAYS) if not any(map(disk.is_relative_to, empty))]
    lowers = {path: os.open(path, os.O_PATH) for path in (*OVERLAYS, *disks)}

    if settings.sealed:
        make_all_read_only()
        _mount(host, "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")  # noqa: S108 - an own one
    _mount(host, "-t", "proc", "proc", "/proc")
    _mount(host, "-t", "tmpfs", "-o", "mode=755", "tmpfs", SCRATCH)
    for path, descriptor in lowers.items():
        _overlay(host, path, descriptor, empty)
    # Over the scratch folder, which lives on below: the overlays hold it.
    _mount(host, "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _make_devices(host, devices)
    _make_run_directories()
    for path, descriptor in held.items():
        _show_again(host, path, descriptor)
    _name_server(settings.hostname)
    _trust(authority)
    for user in settings.users:
        _add_user(user)


def _bind(host: Host, descriptor: int, path: Path) -> None:
    _mount(host, "--bind", f"/proc/{os.getpid()}/fd/{descriptor}", path)


def _mount(host: Host, *arguments: str | Path) -> None:
    # -c: only the kernel can follow the link of a held file; mount(8) would look up the path it had.
    done = host.run(["mount", "-c", *arguments])
    if done.returncode:
        raise MailctlError(f"cannot make the private file system: {done.complaint}")


def _overlay(host: Host, place: Path, descriptor: int, empty: list[Path]) -> None:
    """Cover `place` with what the held directory holds, of which `empty` paths show nothing."""
    # Its own path leads into the overlay above it by now.
    lower = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    scratch = SCRATCH / place.as_posix().strip("/").replace("/", "-")
    upper, work = scratch / "upper", scratch / "work"
    work.mkdir(parents=True)
    upper.mkdir()
    _copy_owner(lower, upper)
    for path in empty:
        if path.is_relative_to(place) and path.is_dir():
            _hide_content(lower, upper, path.relative_to(place))
    # redirect_dir: without it renaming a directory of the host fails, which it does not on the host itself.
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=on"
    _mount(host, "-t", "overlay", "-o", options, "overlay", place)


def _hide_content(lower: Path, upper: Path, path: Path) -> None:
    for part in [*reversed(path.parents), path]:
        (upper / part).mkdir(exist_ok=True)
        _copy_owner(lower / part, upper / part)
    os.setxattr(upper / path, "trusted.overlay.opaque", b"y")


def _copy_owner(source: Path, destination: Path) -> None:
    found = source.stat()
    os.chown(destination, found.st_uid, found.st_gid)
    shutil.copymode(source, destination)


def _make_devices(host: Host, devices: dict[Path, int]) -> None:
    _mount(host, "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev")
    for path, descriptor in devices.items():
        path.touch()
        _bind(host, descriptor, path)
    for name, target in DEVICE_LINKS.items():
        Path("/dev", name).symlink_to(target)
    for name, kind, options in (("pts", "devpts", "newinstance,ptmxmode=0666,mode=620"), ("shm", "tmpfs", "mode=1777")):
        Path("/dev", name).mkdir()
        _mount(host, "-t", kind, "-o", options, kind, f"/dev/{name}")


def _make_run_directories() -> None:
    """The directories packages expect there after a boot; tmpfiles.d(5), lines of type `d`."""
    for line in [line for file in sorted(TMPFILES.glob("*.conf")) for line in file.read_text().splitlines()]:
        match line.split():
            case ["d", path, mode, user, group, *_] if path.startswith("/run/") and mode.isdigit():
                try:
                    owner, group_id = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
                except KeyError:
                    continue  # of a package that is not installed
                Path(path).mkdir(parents=True, exist_ok=True)
                os.chown(path, owner, group_id)
                os.chmod(path, int(mode, 8))  # noqa: PTH101


def _show_again(host: Host, path: Path, descriptor: int) -> None:
    if path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor)):
        return
    path.mkdir(parents=True, exist_ok=True)
    _bind(host, descriptor, path)
    # It is the host's own folder, seen past the overlay.
    _mount(host, "-o", "remount,bind,ro", path)


def _name_server(hostname: str) -> None:
    short = hostname.partition(".")[0]
    socket.sethostname(short)
    own = [f"{address} {hostname} {short}" for address in (SERVER_IPV4, SERVER_IPV6)]
    _replace(Path("/etc/hostname"), [short])
    _replace(Path("/etc/mailname"), [hostname])
    _replace(Path("/etc/hosts"), ["127.0.0.1 localhost", "::1 localhost", *own])
    _replace(Path("/etc/resolv.conf"), [f"nameserver {OUTSIDE_IPV4}"])


def _replace(path: Path, lines: list[str]) -> None:
    # Removed first: it may be a symlink into /run.
    path.unlink(missing_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o644)


def _trust(certificate: bytes) -> None:
    CA_BUNDLE.parent.mkdir(parents=True, exist_ok=True)
    with CA_BUNDLE.open("ab") as bundle:
        bundle.write(certificate)


def _add_user(name: str) -> None:
    if name in {entry.pw_name for entry in pwd.getpwall()}:
        return
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    number = next(number for number in range(FIRST_FREE_ID, 2**16) if number not in taken)
    with open("/etc/group", "a") as groups:
        groups.write(f"{name}:*:{number}:\n")
    with open("/etc/passwd", "a") as users:
        users.write(f"{name}:*:{number}:{number}::/nonexistent:/usr/sbin/nologin\n")
