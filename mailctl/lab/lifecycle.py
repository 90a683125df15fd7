"""Bringing a lab up and down."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mailctl.apply.signals import uninterrupted
from mailctl.errors import BusyError, MailctlError
from mailctl.host import LocalHost
from mailctl.lab.places import LABS, find_lab, lab_command, lab_folder, note_spec_file, require_root
from mailctl.lab.zone import read_key_records, server_zone
from mailctl.sandbox import Sandbox, Settings
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT, python_module
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12, Target

SERVING_TIMEOUT = 60.0  # seconds
STDERR = 2


def bring_up(
    host: LocalHost, name: str, spec: Spec, spec_file: Path, options: Sequence[str] = (), *, shows_plan: bool = False
) -> Sandbox:
    """Start the lab called `name` and apply the spec inside it; returns once its server takes mail.

    Interrupted, it leaves nothing. Args: as of `serve`.

    Raises:
        BusyError: it is up already.
        MailctlError: apply failed inside; the lab stays up, to be looked at.
    """
    lab = start_lab(host, name, spec, spec_file)
    try:
        serve(lab, spec, spec_file, options, shows_plan=shows_plan)
    except KeyboardInterrupt:
        with uninterrupted():
            bring_down(host, name)
        raise
    return lab


def start_lab(
    host: LocalHost, name: str, spec: Spec, spec_file: Path, *, target: Target = DEBIAN_12, dies_with_us: bool = False
) -> Sandbox:
    """A lab without services yet: a machine as it is before the first apply.

    Raises:
        NeedsRootError: only root makes namespaces.
        BusyError: a lab of this name is up.
    """
    folder = lab_folder(name)
    require_root(host)
    host.make_directory(LABS, 0o700)
    settings = Settings(
        hostname=spec.server.hostname,
        visible=(str(spec_file.resolve().parent),),
        empty=(str(target.postfix_queue_dir), str(target.mail_dir), str(target.state_dir)),
        users=(target.vmail_user,),
    )
    with _locked(host, name):
        existing = find_lab(host, name)
        if existing and existing.is_alive():
            raise BusyError(f"the lab {name!r} is up already", hint=f"end it with {lab_command(name, 'down')}")
        try:
            _remove(host, name)
            host.make_directory(folder, 0o700)
            lab = Sandbox.start(host, host.path(folder), settings, dies_with_us=dies_with_us)
            note_spec_file(lab.folder, spec_file)
            lab.publish(server_zone(spec, {}))
            _install_certificates(lab, spec)
        except BaseException:
            with uninterrupted():
                _remove(host, name)
            raise
    return lab


def serve(lab: Sandbox, spec: Spec, spec_file: Path, options: Sequence[str] = (), *, shows_plan: bool = False) -> None:
    """Apply the spec inside and publish its keys; returns once port 25 greets.

    Args:
        options: further words for `mailctl apply`, such as `--host mx2`.
        shows_plan: whether what apply prints is shown, on stderr, where its messages go in any case.

    Raises:
        MailctlError: apply failed, or the server does not take mail.
    """
    with Path(os.devnull).open("wb") as nowhere:
        _apply(lab, spec_file.resolve(), options, STDERR if shows_plan else nowhere.fileno())
    publish_records(lab, spec)
    wait_until_serving(lab)


def publish_records(lab: Sandbox, spec: Spec) -> dict[str, str]:
    """Put into the lab's DNS what the server wants published; the record of every signing key, by its name."""
    keys = read_key_records(LocalHost(lab.path("/")), spec, DEBIAN_12)
    lab.publish(server_zone(spec, keys))
    return keys


def _apply(lab: Sandbox, spec_file: Path, options: Sequence[str], stdout: int) -> None:
    # A canary of a lab would be the same lab again; that there is none is no news there.
    words = ("apply", "-q", "-y", "--no-canary", "-f", str(spec_file), *options)
    command = [*lab.entering(), *python_module("mailctl", *words)]
    # The environment is the user's: a spec may name passwords by variable.
    # Detached: a Ctrl-C in the terminal is for us, who end the lab as a whole.
    process = lab.host.spawn(command, stdout=stdout, environment=os.environ | PYTHON_ENVIRONMENT, detached=True)
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if status:
        raise MailctlError(
            f"apply failed inside the lab with exit code {status}",
            hint=f"the lab is still up: try {lab_command(lab, 'log')}, or {lab_command(lab, 'exec')} for a shell in it",
        )


def wait_until_serving(lab: Sandbox, timeout: float = SERVING_TIMEOUT) -> None:
    """Return once port 25 greets; `timeout` in seconds.

    Raises:
        MailctlError: it did not in time.
    """
    deadline = time.monotonic() + timeout
    while not lab.call_inside(_is_greeted):
        if time.monotonic() > deadline:
            raise MailctlError(
                f"the lab does not take mail after {timeout:g} s", hint=f"read {lab_command(lab, 'log')}"
            )
        time.sleep(0.05)


def bring_down(host: LocalHost, name: str) -> bool:
    """End the lab called `name` and remove all it left; False when there was nothing to end.

    Raises:
        BusyError: it is being started or ended.
    """
    require_root(host)
    # The folder of a start that was killed holds keys, and nothing that runs.
    if host.stat(lab_folder(name)) is None:
        return False
    with _locked(host, name):
        _remove(host, name)
    return True


def _remove(host: LocalHost, name: str) -> None:
    if lab := find_lab(host, name):
        lab.stop()
    host.remove_tree(lab_folder(name))


@contextmanager
def _locked(host: LocalHost, name: str) -> Iterator[None]:
    """Start or end the lab called `name` alone; the lock file goes with its use.

    Raises:
        BusyError: another process is at it.
    """
    path = LABS / f".{name}.lock"
    with host.lock(path):
        try:
            yield
        finally:
            host.remove(path)


def _is_greeted() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", 25), timeout=SERVING_TIMEOUT) as connection:
            return connection.recv(4).startswith(b"220")
    except OSError:
        return False


def _install_certificates(lab: Sandbox, spec: Spec) -> None:
    """Certificates the spec names and this machine lacks, made for the lab and for nothing else."""
    if spec.tls.certificate and spec.tls.key:
        _install_certificate(lab, spec.server.hostname, spec.tls.certificate, spec.tls.key)
    for name, pair in spec.tls.sni.items():
        _install_certificate(lab, name, pair.certificate, pair.key)


def _install_certificate(lab: Sandbox, name: str, certificate: PurePosixPath, key: PurePosixPath) -> None:
    if lab.path(certificate).exists() and lab.path(key).exists():
        return
    for path, content in zip((certificate, key), lab.issue_certificate([name]), strict=True):
        real = lab.path(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.touch(0o600)
        real.write_bytes(content)
