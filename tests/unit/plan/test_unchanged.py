"""When a plan may say that nothing changed without loading the spec, and that anything else makes it load it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from mailctl.components import registry
from mailctl.components.base import Daemon
from mailctl.plan import inputs
from mailctl.plan.json import plan_as_json
from mailctl.plan.text import render_text
from mailctl.plan.unchanged import unchanged
from mailctl.spec.load import load_spec
from mailctl.target import DEBIAN_12, Target
from tests.unit.apply import service
from tests.unit.apply.conftest import HASH, Server

SPEC = """\
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
domains:
  example.org:
    mailboxes:
      ali: {password: {file: secrets/ali}}
include: [users.d/*.yml, team.csv]
"""
BOB = f"""\
domains:
  example.org:
    mailboxes:
      bob: {{password: {{hash: "{HASH}"}}}}
"""
# Another server: what is applied is a generation of its own.
OTHER_SPEC = SPEC.replace("mx1", "mx2")
FLEET = f"{SPEC}hosts: {{mx1: {{}}, mx2: {{server: {{hostname: mx2.example.org}}}}}}\n"
MACHINE = "localhost"
INPUTS = "/var/lib/mailctl/history/{}/inputs.json"


@dataclass
class Applied:
    """A server to which the spec below a folder was applied."""

    server: Server
    folder: Path
    target: Target = DEBIAN_12

    @property
    def spec(self) -> Path:
        return self.folder / "mailctl.yml"

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def is_unchanged(self, name: str | None = None, machine: str = MACHINE) -> bool:
        return unchanged(self.spec, self.target, self.server.host, name, machine) is not None


@pytest.fixture
def applied(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Applied:
    monkeypatch.setattr(inputs, "CODE", (tmp_path / "code",))
    found = Applied(server, tmp_path)
    found.write("code/main.cf.j2", "# a template\n")
    found.write("secrets/ali", f"{HASH}\n")
    found.write("users.d/bob.yml", BOB)
    found.write("team.csv", f"address,password_hash\ncarol@example.org,{HASH}\n")
    found.write("mailctl.yml", SPEC)
    server.apply(load_spec(found.spec))
    return found


def test_the_plan_is_the_one_that_is_made_from_the_spec(applied: Applied) -> None:
    quick = unchanged(applied.spec, DEBIAN_12, applied.server.host, None, MACHINE)
    assert quick is not None
    assert plan_as_json(quick) == plan_as_json(applied.server.plan(load_spec(applied.spec)))


def test_the_spec_may_be_named_from_its_own_folder(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(applied.folder)
    assert unchanged(Path("mailctl.yml"), DEBIAN_12, applied.server.host, None, MACHINE) is not None


@pytest.mark.parametrize("name", ["mailctl.yml", "users.d/bob.yml", "team.csv", "secrets/ali"])
def test_a_link_is_followed_anew(applied: Applied, name: str) -> None:
    link = applied.folder / name
    target = link.rename(link.with_name("one"))
    link.symlink_to(target)
    assert applied.is_unchanged()
    link.unlink()
    link.symlink_to(link.with_name("two"))
    link.with_name("two").write_text(target.read_text().replace("mx1", "mx2").replace("aaaa", "cccc"))
    assert not applied.is_unchanged()


def _touch_template(applied: Applied) -> None:
    os.utime(applied.folder / "code/main.cf.j2", ns=(1, 1))


def _move_spec(applied: Applied) -> None:
    elsewhere = applied.folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("mailctl.yml", "secrets", "users.d", "team.csv"):
        (applied.folder / name).rename(elsewhere / name)
    applied.folder = elsewhere


def _chmod(path: PurePosixPath, mode: int) -> Callable[[Applied], None]:
    return lambda applied: applied.server.host.set_permissions(path, mode, "root", "dovecot")


def _give_away(applied: Applied) -> None:
    applied.server.host.set_permissions(service.MAIN_CF, 0o644, "ali", "root")


def _change_table(applied: Applied) -> None:
    (table,) = (
        path for path in applied.server.host.files("/var/lib/mailctl/generations") if path.endswith("/virtual_alias")
    )
    applied.server.host.put(table, "ali@example.org eve@example.org\n")


CHANGES: dict[str, Callable[[Applied], None]] = {
    "spec": lambda applied: applied.write("mailctl.yml", OTHER_SPEC),
    "comment in the spec": lambda applied: applied.write("mailctl.yml", f"{SPEC}# later\n"),
    "spec that is not valid": lambda applied: applied.write("mailctl.yml", f"{SPEC}routes: 3\n"),
    "spec that is gone": lambda applied: applied.spec.unlink(),
    "spec that is a directory": lambda applied: (applied.spec.unlink(), applied.spec.mkdir())[0],
    "spec elsewhere": _move_spec,
    "included file": lambda applied: applied.write("users.d/bob.yml", "domains: {}\n"),
    "included table": lambda applied: applied.write("team.csv", "address,password_hash\n"),
    "one more file that a pattern means": lambda applied: applied.write("users.d/dave.yml", "domains: {}\n"),
    "one file less": lambda applied: (applied.folder / "users.d/bob.yml").unlink(),
    "secret": lambda applied: applied.write("secrets/ali", HASH.replace("a", "c")),
    "secret that is gone": lambda applied: (applied.folder / "secrets/ali").unlink(),
    "template": _touch_template,
    "one more file of the code": lambda applied: applied.write("code/new.py", ""),
    "version of a service": lambda applied: setattr(applied, "target", replace(DEBIAN_12, postfix_version=(3, 10))),
    "program": lambda applied: applied.server.host.missing_programs.add("postfix"),
    "file": lambda applied: applied.server.host.put(str(service.MAIN_CF), "relayhost = mine\n"),
    "file that is gone": lambda applied: applied.server.host.remove(service.MASTER_CF),
    "mode of a file": _chmod(service.USERS, 0o644),
    "owner of a file": _give_away,
    "mode of a directory": _chmod(PurePosixPath("/var/vmail"), 0o755),
    "lookup table": _change_table,
    "file that a user may not read": lambda applied: applied.server.host.root_only.add(service.USERS),
    "symlink": lambda applied: applied.server.host.symlinks.add(service.MAIN_CF),
    "inputs that are damaged": lambda applied: applied.server.host.put(INPUTS.format(1), '{"spec": 3}'),
    "inputs that are no JSON": lambda applied: applied.server.host.put(INPUTS.format(1), "{"),
    "inputs that nobody kept": lambda applied: applied.server.host.remove(PurePosixPath(INPUTS.format(1))),
    "rollback": lambda applied: applied.server.rollback(0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_else_is_another_way_has_the_plan_made(applied: Applied, name: str) -> None:
    assert applied.is_unchanged()
    CHANGES[name](applied)
    applied.server.host.is_ordinary_user = name == "file that a user may not read"
    assert not applied.is_unchanged()


def test_a_change_and_its_way_back(applied: Applied) -> None:
    applied.write("mailctl.yml", OTHER_SPEC)
    applied.server.apply(load_spec(applied.spec))
    assert applied.is_unchanged()
    applied.server.rollback(1)
    assert not applied.is_unchanged()
    applied.write("mailctl.yml", SPEC)
    assert applied.is_unchanged()


def test_a_service_that_runs_for_nothing_has_the_plan_made_which_names_it(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    needless = Daemon("Example", "example.service", "exampled", PurePosixPath("/run/exampled.pid"))
    monkeypatch.setattr(registry, "unused_daemons", lambda spec, target: (needless,))
    applied.write("mailctl.yml", OTHER_SPEC)
    applied.server.apply(load_spec(applied.spec))
    assert applied.is_unchanged()
    applied.server.host.put("/run/exampled.pid", "42")
    applied.server.host.put("/proc/42/comm", "exampled\n")
    assert not applied.is_unchanged()
    assert "note: Example: it runs" in render_text(applied.server.plan(load_spec(applied.spec)))


@pytest.mark.parametrize(
    ("name", "machine", "is_unchanged"),
    [
        ("mx2", MACHINE, True),
        (None, "mx2.example.org", True),
        (None, "mx2", True),
        ("mx1", MACHINE, False),
        ("mx1", "mx2.example.org", False),
        (None, "mx1.example.org", False),
        (None, MACHINE, False),
        ("mx3", MACHINE, False),
        ("", MACHINE, False),
    ],
)
def test_a_host_of_a_fleet_is_known_however_it_is_named(
    applied: Applied, name: str | None, machine: str, is_unchanged: bool
) -> None:
    applied.write("mailctl.yml", FLEET)
    assert applied.server.apply(load_spec(applied.spec, "mx2")) == 2
    assert applied.is_unchanged(name, machine) is is_unchanged


def test_one_server_is_no_host_of_a_fleet(applied: Applied) -> None:
    assert applied.is_unchanged()
    assert not applied.is_unchanged("mx1")


@pytest.mark.parametrize(
    "text",
    [
        FLEET.replace("mx1.", "mx0."),
        f"{OTHER_SPEC}relays: {{isp: {{hosts: ['[smtp.example.net]:587'], username: u, password: {{env: ISP}}}}}}\n",
    ],
    ids=["a fleet, and no host of it", "a secret from the environment"],
)
def test_what_is_not_in_the_files_alone_is_always_made(
    applied: Applied, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISP", "correct horse")
    applied.write("mailctl.yml", text)
    assert applied.server.apply(load_spec(applied.spec)) == 2
    assert applied.server.plan(load_spec(applied.spec)).is_empty
    assert not applied.is_unchanged()


def test_a_password_cannot_be_read_from_what_is_kept(applied: Applied) -> None:
    applied.write("secrets/isp", "correct horse\n")
    relay = "relays: {isp: {hosts: ['[smtp.example.net]:587'], username: u, password: {file: secrets/isp}}}\n"
    applied.write("mailctl.yml", f"{OTHER_SPEC}{relay}")
    assert applied.server.apply(load_spec(applied.spec)) == 2
    kept = applied.server.host.read(PurePosixPath(INPUTS.format(2))) or b""
    assert b"secrets/isp" in kept
    assert b"correct" not in kept
    assert applied.is_unchanged()
    applied.write("secrets/isp", "another horse\n")
    assert not applied.is_unchanged()
