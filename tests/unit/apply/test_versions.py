"""A service of a version that nobody tried ends with 69, and with no guess."""

from __future__ import annotations

import pytest

from mailctl.components.detect import read_target
from mailctl.errors import ExitCode, UnfitError
from mailctl.host import Completed
from tests.memory_host import MemoryHost

KNOWN = {
    "postconf": b"3.7.11\n",
    "dovecot": b"2.3.19.1 (9b53102964)\n",
    "opendkim": b"opendkim: OpenDKIM Filter v2.11.0\n",
}


def host_with(**versions: bytes) -> MemoryHost:
    host = MemoryHost()
    for name, version in {**KNOWN, **versions}.items():
        host.programs[name] = lambda argv, stdin, text=version: Completed(
            argv, 0, b"cdb hash lmdb" if "-m" in argv else text, b""
        )
    return host


def test_the_versions_of_debian_12_are_known() -> None:
    target = read_target(host_with()).target
    assert (target.postfix_version, target.dovecot_version, target.opendkim_version) == ((3, 7), (2, 3), (2, 11))


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"postconf": b"4.0.1\n"}, "Postfix 4.0 is not known to mailctl, which renders for 3.7 to 3.11"),
        ({"postconf": b"3.5.25\n"}, "Postfix 3.5 is not known"),
        ({"dovecot": b"3.0.0 (0123abcd)\n"}, "Dovecot 3.0 is not known"),
        ({"opendkim": b"opendkim: OpenDKIM Filter v3.0.0\n"}, "OpenDKIM 3.0 is not known"),
        ({"postconf": b"\n"}, "cannot read the version of Postfix"),
    ],
)
def test_an_unknown_version_is_no_guess(versions: dict[str, bytes], said: str) -> None:
    with pytest.raises(UnfitError) as failure:
        read_target(host_with(**versions))
    assert said in failure.value.message
    assert failure.value.exit_code == ExitCode.UNFIT
