"""An outside for this machine: a network namespace at the end of a veth pair, whose addresses nobody here trusts.

Loopback proves nothing, because loopback is trusted. The pair, its addresses and routes vanish with the namespace,
and that with this process, however it ends. Ranges: RFC 2544, RFC 5737, RFC 3849.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from mailctl.errors import BusyError, MailctlError, NeedsRootError, UnfitError
from mailctl.host import BackgroundProcess, LocalHost
from mailctl.sandbox.launch import DIE_WITH_PARENT
from mailctl.sandbox.namespaces import call_in_network_of
from mailctl.sandbox.network import OUTSIDE_LINK_LOCAL, SERVER_LINK_LOCAL, has_ipv6

LINK = "mailctl-probe"
OUTER_LINK = "outside"
SERVER_IPV4, OUTSIDE_IPV4 = "198.51.100.1", "198.51.100.2"
SERVER_IPV6, OUTSIDE_IPV6 = "2001:db8:1000::1", "2001:db8:1000::2"
# Where clients come from; see CLIENT_NETWORKS of clients.py.
CLIENTS = ("198.19.0.0/16", "2001:db8:1000::/36")
USED = (*CLIENTS, "198.51.100.0/30")
START_TIMEOUT = 5.0  # seconds
LONGEST_PROBE = 60.0
LOCK = PurePosixPath("/run/mailctl-probe.lock")


@contextmanager
def outside_of(host: LocalHost) -> Iterator[int]:
    """The id of a process whose network namespace is the outside, for `call_in_network_of`.

    One at a time: whoever comes second, an apply beside a probe of monitoring, waits.

    Raises:
        NeedsRootError: namespaces need root.
        UnfitError: this machine uses the addresses itself.
        BusyError: another probe does not end.
        MailctlError: the kernel refuses.
    """
    if not host.is_root():
        raise NeedsRootError(
            "a probe from an outside address needs root", hint="run it with sudo, or from elsewhere with --target HOST"
        )
    with _alone(host), _outside(host) as pid:
        yield pid


@contextmanager
def _alone(host: LocalHost) -> Iterator[None]:
    until = time.monotonic() + LONGEST_PROBE
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(host.lock(LOCK))
                break
            except BusyError as error:
                if time.monotonic() > until:
                    raise BusyError("another probe is at work", hint=f"wait for it to end; it holds {LOCK}") from error
                time.sleep(0.1)
        yield


@contextmanager
def _outside(host: LocalHost) -> Iterator[int]:
    _require_free(host)
    with Path(os.devnull).open("wb") as nowhere:
        holder = host.spawn([*DIE_WITH_PARENT, "unshare", "--net", "sleep", "infinity"], stderr=nowhere.fileno())
    try:
        _wait_for_namespace(holder)
        _connect(host, holder.pid)
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()
        _wait_for_end(host)


def _require_free(host: LocalHost) -> None:
    for network in USED:
        if (has_ipv6() or ":" not in network) and host.run(["ip", "route", "show", "root", network]).stdout.strip():
            raise UnfitError(f"this machine has a route into {network}, which is reserved for tests")


def _wait_for_namespace(holder: BackgroundProcess) -> None:
    until = time.monotonic() + START_TIMEOUT
    while not _is_apart(holder.pid):
        if holder.poll() is not None:
            raise MailctlError(
                "this machine gives no network namespace", hint="a container needs the right to make one"
            )
        if time.monotonic() > until:
            raise MailctlError("the network namespace of the probe did not start")
        time.sleep(0.005)


def _is_apart(pid: int) -> bool:
    """Whether the process has a network namespace of its own; one that has ended has none."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino != Path("/proc/self/ns/net").stat().st_ino
    except FileNotFoundError:
        return False


def _connect(host: LocalHost, pid: int) -> None:
    _configure(
        host,
        f"link add {LINK} type veth peer name {OUTER_LINK} netns {pid}",
        f"address add {SERVER_IPV4}/32 dev {LINK}",
        f"address add {SERVER_IPV6}/128 dev {LINK} nodad",
        f"address add {SERVER_LINK_LOCAL}/64 dev {LINK} nodad",
        f"link set {LINK} up",
        f"route add {OUTSIDE_IPV4}/32 dev {LINK} src {SERVER_IPV4}",
        f"route add {OUTSIDE_IPV6}/128 dev {LINK}",
        *(f"route add {each} via {OUTSIDE_IPV6 if ':' in each else OUTSIDE_IPV4}" for each in CLIENTS),
    )
    call_in_network_of(pid, lambda: _connect_outside(host))


def _connect_outside(host: LocalHost) -> None:
    _configure(
        host,
        "link set lo up",
        f"address add {OUTSIDE_IPV4}/32 dev {OUTER_LINK}",
        f"address add {OUTSIDE_IPV6}/128 dev {OUTER_LINK} nodad",
        f"address add {OUTSIDE_LINK_LOCAL}/64 dev {OUTER_LINK} nodad",
        f"link set {OUTER_LINK} up",
        # The longest prefix of table local wins: every client address is ours, the server's is not.
        f"route add {SERVER_IPV4}/32 dev {OUTER_LINK} src {OUTSIDE_IPV4} table local",
        f"route add {SERVER_IPV6}/128 dev {OUTER_LINK} src {OUTSIDE_IPV6} table local",
        *(f"route add local {each} dev lo table local" for each in CLIENTS),
    )
    if has_ipv6():
        # For IPv6 a local route alone does not let a client take the address.
        Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")


def _configure(host: LocalHost, *commands: str) -> None:
    usable = [command for command in commands if has_ipv6() or ":" not in command]
    done = host.run(["ip", "-batch", "-"], stdin="\n".join(usable).encode())
    if done.returncode:
        raise MailctlError(f"cannot connect the outside: {done.complaint}")


def _wait_for_end(host: LocalHost) -> None:
    """Return once the pair is gone; the kernel ends a namespace a moment after its last process."""
    until = time.monotonic() + START_TIMEOUT
    while host.run(["ip", "link", "delete", LINK]).returncode == 0 and time.monotonic() < until:
        time.sleep(0.005)
