"""The module `mailctl`, run as Ansible runs it; where the machine must not be touched, with a recorded mailctl."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
MODULE = CHECKOUT / "roles/mailctl/library/mailctl.py"
MAILCTL = Path(sys.executable).with_name("mailctl")
HASH = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
SPEC = """\
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
domains:
  example.org:
    mailboxes:
      ali: {password: {file: secrets/ali}}
"""
SECRETS = {"secrets/ali": HASH}

EMPTY: dict[str, Any] = {
    "empty": True,
    "generation": 3,
    "effects": [],
    "files": [],
    "services": [],
    "diagnostics": [],
    "summary": {"text": "No changes."},
}
ONE_CHANGE: dict[str, Any] = EMPTY | {
    "empty": False,
    "files": [{"action": "change", "name": "/etc/postfix/main.cf", "secret": False, "diff": ["-old", "+new"]}],
    "summary": {"text": "Plan: files: 0 to add, 1 to change, 0 to remove."},
}
# Prints the next recorded answer, and keeps what it was asked.
RECORDED = """\
#!{python}
import json, sys
from pathlib import Path
folder = Path({folder!r})
asked = json.loads((folder / "asked").read_text())
answers = json.loads((folder / "answers").read_text())
code, said = answers[len(asked)]
(folder / "asked").write_text(json.dumps([*asked, sys.argv[1:]]))
print(said if isinstance(said, str) else json.dumps(said))
sys.exit(code)
"""
SYSTEMCTL = """\
#!/bin/sh
[ "$1" = show ] && cat {states}
echo "$@" >>{log}
"""
STATES = """\
UnitFileState=enabled
ActiveState=active

UnitFileState=disabled
ActiveState=inactive
"""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the module with parameters; `check` and `diff` as the options of ansible-playbook."""

    def run_module(check: bool = False, diff: bool = False, **parameters: Any) -> dict[str, Any]:
        given = {"spec": str(tmp_path / "etc/mailctl.yml"), "executable": str(MAILCTL), **parameters}
        arguments = {"ANSIBLE_MODULE_ARGS": {**given, "_ansible_check_mode": check, "_ansible_diff": diff}}
        environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, MODULE], input=json.dumps(arguments), capture_output=True, text=True, env=environment
        )
        assert "Traceback" not in done.stderr
        assert HASH not in done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run_module


class Recorded:
    """A mailctl that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "mailctl"
        self.path.write_text(RECORDED.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o755)

    def answers(self, *answers: tuple[int, Any]) -> str:
        (self._folder / "answers").write_text(json.dumps(answers))
        (self._folder / "asked").write_text("[]")
        return str(self.path)

    @property
    def asked(self) -> list[list[str]]:
        found: list[list[str]] = json.loads((self._folder / "asked").read_text())
        return found


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    (tmp_path / "bin").mkdir()
    return Recorded(tmp_path / "bin")


def test_the_plan_of_a_new_machine(run: Run, tmp_path: Path) -> None:
    found = run(check=True, diff=True, content=SPEC, files=SECRETS, root="/nonexistent")
    assert found["changed"]
    shown = found["diff"][0]["prepared"]
    assert "+ mailbox ali@example.org  quota unlimited  mailctl.yml:7" in shown
    assert "+ /etc/dovecot/mailctl.users  (secret, not shown)" in shown
    assert {each["service"] for each in found["services"] if each["action"] != "nothing"} == {"Postfix", "Dovecot"}
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize("check", [True, False])
def test_a_broken_spec_is_named_by_its_line_and_never_placed(run: Run, tmp_path: Path, check: bool) -> None:
    found = run(check=check, content=SPEC.replace("self_signed", "self_singed"), files=SECRETS)
    assert found["failed"]
    assert found["rc"] == 65
    assert "mailctl.yml:3:" in found["msg"]
    assert {"file": "mailctl.yml", "line": 3}.items() <= found["diagnostics"][0].items()
    assert not (tmp_path / "etc").exists()


def test_messages_name_the_file_that_can_be_mended(run: Run) -> None:
    text = SPEC.replace("self_signed", "self_singed")
    found = run(check=True, content=text, files=SECRETS, source="/home/ali/fleet/mailctl.yml")
    assert "/home/ali/fleet/mailctl.yml:3:" in found["msg"]
    assert found["diagnostics"][0]["file"] == "/home/ali/fleet/mailctl.yml"


def test_a_change_is_planned_then_placed_then_applied(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    executable = recorded.answers((0, ONE_CHANGE), (0, ONE_CHANGE | {"applied": 4}))
    found = run(content=SPEC, files=SECRETS, executable=executable, host="mx1", overwrite=True, diff=True)
    assert (found["changed"], found["generation"], found["applied"]) == (True, 4, 4)
    assert "    -old\n    +new" in found["diff"][0]["prepared"]
    assert [asked[:2] for asked in recorded.asked] == [["apply", "--check"], ["apply", "--yes"]]
    assert all({"--json", "--host", "mx1", "--overwrite"} <= set(asked) for asked in recorded.asked)
    placed = tmp_path / "etc/secrets/ali"
    assert (placed.read_text(), placed.stat().st_mode & 0o777) == (HASH, 0o600)
    assert placed.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_to_do_is_one_question_and_no_change(run: Run, recorded: Recorded) -> None:
    run(content=SPEC, files=SECRETS, executable=recorded.answers((0, ONE_CHANGE), (0, ONE_CHANGE | {"applied": 4})))
    found = run(content=SPEC, files=SECRETS, executable=recorded.answers((0, EMPTY)), diff=True)
    assert (found["changed"], found["applied"]) == (False, None)
    assert "diff" not in found
    assert len(recorded.asked) == 1


def test_check_mode_places_nothing(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    found = run(check=True, content=SPEC, files=SECRETS, executable=recorded.answers((0, ONE_CHANGE)))
    assert found["changed"]
    assert found["placed"] == [str(tmp_path / "etc/mailctl.yml"), str(tmp_path / "etc/secrets/ali")]
    assert not (tmp_path / "etc").exists()


def test_a_failed_apply_puts_the_old_spec_back(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/mailctl.yml").write_text("the old one")
    failure = {
        "error": "the new configuration does not serve",
        "diagnostics": [{"file": "", "line": 0, "path": "", "message": "Postfix did not start", "hint": "look"}],
    }
    found = run(content=SPEC, files=SECRETS, executable=recorded.answers((0, ONE_CHANGE), (1, failure)))
    assert found["failed"]
    assert not found["changed"]
    assert "Postfix did not start (look)" in found["msg"]
    assert (tmp_path / "etc/mailctl.yml").read_text() == "the old one"
    assert not (tmp_path / "etc/secrets/ali").exists()


def test_a_file_that_cannot_be_placed_leaves_the_old_ones(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "etc/secrets/ali").mkdir(parents=True)  # no file replaces a folder
    (tmp_path / "etc/mailctl.yml").write_text("the old one")
    found = run(content=SPEC, files=SECRETS, executable=recorded.answers((0, ONE_CHANGE)))
    assert found["failed"]
    assert found["msg"] == f"cannot write {tmp_path}/etc/secrets/ali: Is a directory"
    assert (tmp_path / "etc/mailctl.yml").read_text() == "the old one"
    assert [each.name for each in (tmp_path / "etc/secrets").iterdir()] == ["ali"]


def test_what_mailctl_warns_of_is_a_warning(run: Run, recorded: Recorded) -> None:
    drift = {"file": "/etc/postfix/main.cf", "line": 0, "path": "", "message": "changed by hand", "severity": "warning"}
    found = run(
        check=True, content=SPEC, files=SECRETS, executable=recorded.answers((0, EMPTY | {"diagnostics": [drift]}))
    )
    assert any("/etc/postfix/main.cf: changed by hand" in str(each) for each in found["warnings"])


@pytest.mark.parametrize("record", [None, '{"release": "another", "units": []}', "{torn"])
@pytest.mark.parametrize(("code", "summary"), [(0, ONE_CHANGE["summary"]["text"]), (65, None)])
def test_another_release_may_show_its_plan_and_nothing_else(
    run: Run, recorded: Recorded, tmp_path: Path, record: str | None, code: int, summary: str | None
) -> None:
    if record is not None:
        (tmp_path / "record").write_text(record)
    executable = recorded.answers((code, ONE_CHANGE if code == 0 else {"error": "unknown key", "diagnostics": []}))
    wanted = {"executable": executable, "record": str(tmp_path / "record"), "release": "this"}
    found = run(check=True, content=SPEC, files=SECRETS, **wanted)
    assert (found["pending"], found["installed"], found.get("summary")) == (True, False, summary)
    assert run(content=SPEC, files=SECRETS, **wanted)["failed"]
    assert len(recorded.asked) == 1


def test_no_program_is_told_from_a_program_that_fails(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    missing = run(check=True, content=SPEC, executable=str(tmp_path / "missing"))
    assert (missing["installed"], missing["msg"]) == (
        False,
        f"mailctl is not installed here, there is no {tmp_path}/missing",
    )
    assert "pip install mailctl" in run(check=True, content=SPEC, executable="/nonexistent", root="/nonexistent")["msg"]
    found = run(content=SPEC, files=SECRETS, executable=recorded.answers((1, "Traceback (most recent call last)")))
    assert "mailctl exited with 1 and said: Traceback" in found["msg"]


def test_units_of_the_record_that_sleep_are_started(run: Run, recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL.format(states=tmp_path / "states", log=tmp_path / "log"))
    (tmp_path / "bin/systemctl").chmod(0o755)
    (tmp_path / "states").write_text(STATES)
    (tmp_path / "record").write_text('{"release": "this", "units": ["postfix.service", "dovecot.service"]}')
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/mailctl.yml").write_text("as it is")
    wanted = {"record": str(tmp_path / "record"), "release": "this"}
    found = run(executable=recorded.answers((0, EMPTY)), **wanted)
    assert (found["changed"], found["units"]) == (True, ["dovecot.service"])
    assert (tmp_path / "log").read_text().splitlines()[-1] == "enable --now -- dovecot.service"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "./a", ""])
def test_files_lie_below_the_folder_of_the_spec(run: Run, recorded: Recorded, name: str) -> None:
    found = run(content=SPEC, files={name: "text"}, executable=recorded.answers())
    assert "is no path below the folder of the spec" in found["msg"]


def test_parameters_that_make_no_sense_together(run: Run) -> None:
    assert "root is for check mode" in run(root="/tmp", content=SPEC)["msg"]
    assert "files needs content" in run(files=SECRETS)["msg"]
    assert "there is no spec" in run(spec="/nonexistent/mailctl.yml")["msg"]


def test_every_parameter_is_documented_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = runpy.run_path(str(MODULE))
    taken: dict[str, Any] = {}

    class Taken(Exception):  # noqa: N818 - no error
        pass

    def take(argument_spec: dict[str, Any], **_: Any) -> None:
        taken.update(argument_spec)
        raise Taken

    monkeypatch.setitem(namespace["main"].__globals__, "AnsibleModule", take)
    with pytest.raises(Taken):
        namespace["main"]()
    documented = yaml.safe_load(namespace["DOCUMENTATION"])["options"]
    parts = ("type", "elements", "default")
    assert {name: {part: each.get(part) for part in parts} for name, each in documented.items()} == {
        name: {part: each.get(part) for part in parts} for name, each in taken.items()
    }
