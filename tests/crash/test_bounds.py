"""What applies leave: the same disk and descriptors after many as after some, the same bytes from any surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.specs import write_spec
from mailctl.apply.generation import KEPT_GENERATIONS
from mailctl.errors import ExitCode
from mailctl.sandbox.launch import PYTHON_ENVIRONMENT
from mailctl.spec.load import load_spec
from tests.crash.files import HASH, Machine, make_scenes
from tests.crash.sweep import contents

APPLIES = int(os.environ.get("MAILCTL_APPLIES", "60"))


def measure(machine: Machine) -> tuple[int, int, int]:
    """Files and directories, bytes in them, and descriptors of this process."""
    paths = list(machine.folder.rglob("*"))
    size = sum(path.stat().st_size for path in paths if path.is_file())
    return len(paths), size, len(list(Path("/proc/self/fd").iterdir()))


def test_many_applies_take_no_more_room_than_some(tmp_path: Path) -> None:
    make_scenes(tmp_path)
    specs = [load_spec(tmp_path / name) for name in ("old.yml", "new.yml")]
    machine = Machine(tmp_path / "many")
    machine.folder.mkdir()
    found = {}
    for number in range(APPLIES):
        machine.apply(specs[number % 2])
        if number % 2 and number > 2 * KEPT_GENERATIONS:
            found[number] = measure(machine)
    first, last = found[min(found)], found[max(found)]
    assert (first[0], first[2]) == (last[0], last[2])
    # Numbers get longer: 99 becomes 100 in some places.
    assert abs(first[1] - last[1]) < 1000


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder of programs and modules that must never run."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in ("postconf", "postmap", "openssl", "doveconf", "ss", "sh"):
        (folder / name).write_text(f"#!/bin/sh\n: > {tmp_path}/ran\n")  # touch(1) is not on their PATH
        (folder / name).chmod(0o755)
    for name in ("json.py", "click.py"):
        (folder / name).write_text(f"open('{tmp_path}/ran', 'w')\n")
    return folder


NOBODY = ("unshare", "--user")  # the user 65534, who may still read what is root's


@pytest.mark.parametrize(
    ("surroundings", "prefix"),
    [
        ({"PATH": "{evil}", "MAIL_CONFIG": "{evil}", "MAIL_VERBOSE": "1", "MAIL_DEBUG": "1"}, ()),
        ({"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}, ()),
        ({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}, ()),
        ({"OPENSSL_CONF": "{evil}/none", "HOME": "{evil}", "TMPDIR": "/nowhere"}, ()),
        ({"SUDO_USER": "ali", "PYTHONHASHSEED": "7"}, NOBODY),
    ],
    ids=("programs", "turkish", "ascii", "files", "another user"),
)
def test_the_surroundings_change_nothing(
    surroundings: dict[str, str],
    prefix: tuple[str, ...],
    evil: Path,
    tmp_path: Path,
    require_root: None,
    require_tools: Callable[..., None],
) -> None:
    require_tools("unshare")
    make_scenes(tmp_path)
    results = []
    for name, environment, before in (("plain", {}, ()), ("odd", surroundings, prefix)):
        folder = tmp_path / name
        folder.mkdir()
        words = (sys.executable, "-P", "-m", "mailctl", "-f", str(tmp_path / "old.yml"), "apply", "-y", "--root")
        odd = {key: value.format(evil=evil) for key, value in environment.items()}
        place = evil if environment else tmp_path
        done = subprocess.run(
            [*before, *words, str(folder)], env=PYTHON_ENVIRONMENT | odd, cwd=place, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        results.append(contents(folder / "etc"))
    assert results[0] == results[1]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_stops_no_apply(closed: str, tmp_path: Path, require_tools: Callable[..., None]) -> None:
    require_tools("sh")
    make_scenes(tmp_path)
    (tmp_path / "machine").mkdir()
    redirection = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}[closed]
    words = (sys.executable, "-P", "-m", "mailctl", "-f", str(tmp_path / "old.yml"), "apply", "-y", "--root")
    script = f'exec "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words, str(tmp_path / "machine")],
        env=PYTHON_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    machine = Machine(tmp_path / "machine")
    machine.assert_tidy()
    assert (tmp_path / "machine/etc/postfix/main.cf").exists()
    assert (tmp_path / "machine/var/lib/mailctl/current").read_text() == "1\n"


MOST_SECONDS, MOST_MEGABYTES = 10, 512  # of processor time: another test beside this one takes none of it
HEAD = "version: 1\nserver: {hostname: mx1.example.com}\ntls: {self_signed: true}\n"
ALI = f'      ali: {{password: {{hash: "{HASH}"}}}}\n'
DOMAIN = f"domains:\n  example.org:\n    mailboxes:\n{ALI}    aliases:\n"


def hundred_thousand_addresses(folder: Path) -> str:
    return write_spec(folder, 100_000).read_text()


def chain_of_aliases(folder: Path) -> str:
    rows = "".join(f"      a{number}: [a{number + 1}]\n" for number in range(20_000))
    return f"{HEAD}{DOMAIN}{rows}      a20000: [ali]\n"


def web_of_aliases(folder: Path) -> str:
    everybody = ", ".join(f"a{number}" for number in range(300))
    return HEAD + DOMAIN + "".join(f"      a{number}: [{everybody}]\n" for number in range(300))


def alias_for_everybody(folder: Path) -> str:
    everybody = ", ".join(f"x{number}@elsewhere.example" for number in range(20_000))
    return f"{HEAD}{DOMAIN}      all: [{everybody}]\n"


def patterns(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f'      "/^(a+)+{number}$/": [ali]\n' for number in range(5_000))


def domains(folder: Path) -> str:
    rows = (f"  d{number}.example:\n    dkim: {{selector: s1}}\n    mailboxes:\n{ALI}" for number in range(3_000))
    return f"{HEAD}domains:\n{''.join(rows)}"


def routes(folder: Path) -> str:
    rows = "".join(f"  - {{to: [d{number}.example], via: {{host: 192.0.2.7}}}}\n" for number in range(10_000))
    return f"{HEAD}{DOMAIN}      info: [ali]\nroutes:\n{rows}"


def includes(folder: Path) -> str:
    for number in range(1_000):
        (folder / f"part{number}.yml").write_text(
            f"domains: {{d{number}.example: {{aliases: {{x: [x@e.example]}}}}}}\n"
        )
    return f"{HEAD}{DOMAIN}      info: [ali]\ninclude: [part*.yml]\n"


def settings(folder: Path) -> str:
    rows = "".join(f"    p{number}_destination_rate_delay: 1s\n" for number in range(3_000))
    return f"{HEAD}{DOMAIN}      info: [ali]\npostfix:\n  main:\n{rows}"


def deep(folder: Path) -> str:
    return HEAD + "domains: " + "[" * 100_000


def one_long_line(folder: Path) -> str:
    return f"{HEAD}{DOMAIN}      info: [{'x' * 10_000_000}]\n"


def most_short_values(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f"      a{number}: [ali]\n" for number in range(200_000))


def too_many_values(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f"      a{number}: [ali]\n" for number in range(1_500_000))


def too_many_in_a_table(folder: Path) -> str:
    rows = "".join(f"a{number}@example.org,\n" for number in range(1_500_000))
    (folder / "users.csv").write_text(f"address,quota\n{rows}")
    return f"{HEAD}{DOMAIN}      info: [ali]\ninclude: [users.csv]\n"


def too_many_files(folder: Path) -> str:
    for number in range(5):
        (folder / f"part{number}.yml").write_text(f"domains: {{}}  # {'x' * 10_000_000}\n")
    return f"{HEAD}{DOMAIN}      info: [ali]\ninclude: [part*.yml]\n"


def comments(folder: Path) -> str:
    return f"{HEAD}{DOMAIN}      info: [ali]\n" + "# c\n" * 7_000_000


def misspelt_keys(folder: Path) -> str:
    return HEAD + DOMAIN + "      info: [ali]\n" + "".join(f"domians{number}: 1\n" for number in range(20_000))


def unknown_targets(folder: Path) -> str:
    return HEAD + DOMAIN + "".join(f"      a{number}: [alli{number}]\n" for number in range(20_000))


@pytest.mark.parametrize(
    "make",
    [
        hundred_thousand_addresses,
        chain_of_aliases,
        web_of_aliases,
        alias_for_everybody,
        patterns,
        domains,
        routes,
        includes,
        settings,
        deep,
        one_long_line,
        most_short_values,
        too_many_values,
        too_many_in_a_table,
        too_many_files,
        comments,
        misspelt_keys,
        unknown_targets,
    ],
    ids=lambda make: make.__name__.replace("_", " "),
)
def test_whatever_the_spec_holds_it_ends_in_time_and_within_its_memory(
    make: Callable[[Path], str], tmp_path: Path
) -> None:
    spec, out = tmp_path / "mail.yml", tmp_path / "out"
    spec.write_text(make(tmp_path))
    words = (sys.executable, "-P", "-m", "mailctl", "-f", str(spec), "apply", "-y", "--root", str(tmp_path / "machine"))
    (tmp_path / "machine").mkdir()
    with out.open("wb") as output:
        process = subprocess.Popen(words, env=PYTHON_ENVIRONMENT, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = out.read_text(errors="replace")
    assert process.returncode in (ExitCode.OK, ExitCode.SPEC_INVALID), said[-2000:]
    assert usage.ru_utime + usage.ru_stime < MOST_SECONDS
    assert usage.ru_maxrss < MOST_MEGABYTES * 1024  # in KiB, getrusage(2)
    Machine(tmp_path / "machine").assert_tidy()
