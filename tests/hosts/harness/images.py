"""The systems the hosts start from: made once, kept outside the checkout, laid over each other.

CACHE/images-KEY/fresh       a minimal Debian with systemd, sshd, Python and rsyslog; no mail service
CACHE/images-KEY/mail        what installing the mail packages adds to it
CACHE/images-KEY/packages    those packages, and more a host may install, as an apt repository
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.hosts.harness.cache import cached
from tests.hosts.harness.commands import HarnessError, run
from tests.hosts.harness.layers import overlay, run_inside

RELEASE = "bookworm"
FRESH_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "iproute2", "ca-certificates", "rsyslog"),
    *("apt", "debian-archive-keyring", "procps", "less", "vim-tiny"),
)
MAIL_PACKAGES = (
    *("postfix", "postfix-cdb", "postfix-lmdb", "postfix-pcre", "dovecot-core", "dovecot-imapd", "dovecot-lmtpd"),
    *("opendkim", "opendkim-tools", "openssl", "python3-venv"),
)
# In no image, but a host can install them.
MORE_PACKAGES = ("postfix-doc", "cron", "logrotate", "prometheus-node-exporter", "python3-apt", "swaks", "strace")

REPOSITORY = "/srv/packages"  # in the host
SOURCES = f"deb [trusted=yes] file:{REPOSITORY} ./\n"
BOOTSTRAP_TIMEOUT = 900.0  # seconds; half a minute, on a busy machine with a slow mirror more


class Image(StrEnum):
    """What a host holds when it boots first."""

    FRESH = "fresh"  # no mail service, no mailctl
    MAIL = "mail"  # the mail packages as Debian configures them
    MAILCTL = "mailctl"  # and mailctl in a venv of its own, nothing applied


@dataclass(frozen=True)
class Images:
    """The cached layers; `packages` is the repository for hosts."""

    folder: Path

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def layers(self, image: Image) -> tuple[Path, ...]:
        """The cached folders a host of `image` is laid over, topmost first."""
        fresh = self.folder / "fresh"
        return (fresh,) if image is Image.FRESH else (self.folder / "mail", fresh)


def cached_images() -> Images:
    """The images for today's package list and this machine's mirrors; made where they are missing.

    Raises:
        HarnessError: a mirror or a program is missing.
    """
    mirrors = _mirrors()
    lists = repr((RELEASE, FRESH_PACKAGES, MAIL_PACKAGES, MORE_PACKAGES, mirrors, Path(__file__).read_text()))
    key = hashlib.sha256(lists.encode()).hexdigest()[:12]
    return Images(cached("images", key, lambda folder: _make(folder, mirrors)))


def _mirrors() -> tuple[str, ...]:
    """The machine's own apt sources for the release, one line each; see sources.list(5)."""
    form = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)|$(ORIGIN)|$(CODENAME)"
    lines = run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
    found = [line.split("|") for line in lines]
    sources = sorted({source for source, origin, name in found if origin == "Debian" and name.startswith(RELEASE)})
    if not sources:
        raise HarnessError(f"apt knows no mirror of Debian {RELEASE}; after a change of sources run apt-get update")
    return tuple(sources)


def _make(work: Path, mirrors: tuple[str, ...]) -> None:
    (work / "packages").mkdir()
    _make_fresh(work / "fresh", mirrors)
    _make_mail(work)


def _make_fresh(root: Path, mirrors: tuple[str, ...]) -> None:
    include = ",".join(FRESH_PACKAGES)
    options = ("--quiet", "--mode=root", "--variant=minbase", f"--include={include}")
    run("mmdebstrap", *options, RELEASE, root, *mirrors, timeout=BOOTSTRAP_TIMEOUT)
    run("systemctl", f"--root={root}", "--quiet", "enable", "systemd-networkd.service")
    # Nothing is to be fetched or changed behind a test's back.
    run("systemctl", f"--root={root}", "--quiet", "mask", "apt-daily.timer", "apt-daily-upgrade.timer")
    (root / "etc/resolv.conf").unlink(missing_ok=True)


def _make_mail(work: Path) -> None:
    """Install the mail packages over `fresh`, services kept from starting, and keep what apt downloaded."""
    install = ("apt-get", "-q", "-y", "--no-install-recommends", "-o", "APT::Keep-Downloaded-Packages=true", "install")
    archives = f"--bind={work / 'packages'}:/var/cache/apt/archives"
    with overlay(work / "mail", (work / "fresh",)) as root:
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        for command in (
            ("apt-get", "-q", "update"),
            (*install, "--download-only", *MAIL_PACKAGES, *MORE_PACKAGES),
            (*install, *MAIL_PACKAGES),
        ):
            run_inside(root, *command, options=("--resolv-conf=replace-host", archives))
        _index(work / "packages")
        (root / "etc/apt/sources.list").write_text(SOURCES)
        run_inside(root, "apt-get", "-q", "update", options=(f"--bind-ro={work / 'packages'}:{REPOSITORY}",))
        (root / "usr/sbin/policy-rc.d").unlink()
    shutil.copy(work / "mail/etc/apt/sources.list", work / "fresh/etc/apt/sources.list")


def _index(packages: Path) -> None:
    shutil.rmtree(packages / "partial", ignore_errors=True)
    (packages / "lock").unlink(missing_ok=True)
    for package in packages.glob("*%3a*.deb"):
        package.rename(packages / package.name.replace("%3a", "_"))  # no name that a URI would read otherwise
    listing = run("env", "--chdir", packages, "apt-ftparchive", "packages", ".")
    (packages / "Packages").write_text(listing)
