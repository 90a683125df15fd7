"""Roles, inventory and Vagrantfile without a host: linted, documented, and agreeing with each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import mailctl

CHECKOUT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
ROLES = CHECKOUT / "roles"
INVENTORY = CHECKOUT / "inventory"
VAULT = {"ANSIBLE_VAULT_PASSWORD_FILE": str(INVENTORY / "example-vault-password")}


def environment() -> dict[str, str]:
    return os.environ | VAULT | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "NO_COLOR": "1"}


def run(*command: str | Path) -> str:
    """What a program of the virtual environment prints; it must succeed."""
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_yamllint() -> None:
    run("yamllint", "--strict", "-c", ".ci/yamllint.yml", "roles", "inventory")


def test_ansible_lint() -> None:
    options = ("--offline", "--strict", "-q", "--profile", "production", "--exclude", "roles/collection")
    run("ansible-lint", "roles", "inventory", *options)


def test_syntax() -> None:
    run("ansible-playbook", "-i", "inventory/hosts.yml", "--syntax-check", "roles/site.yml")


@pytest.mark.parametrize("role", ["mailctl", "mailctl_monitoring"])
def test_every_default_is_documented(role: str) -> None:
    defaults = load(ROLES / role / "defaults/main.yml")
    options = load(ROLES / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert options.keys() == defaults.keys()
    said = {name: each["default"] for name, each in options.items() if not str(each["default"]).startswith(WORDS)}
    assert said == {name: defaults[name] for name in said}


# A default that is worked out is described.
WORDS = ("beside ", "the ", "C(")


LOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {{name: {role}, tasks_from: {tasks}}}
"""


@pytest.mark.parametrize(
    ("role", "tasks", "argument", "said"),
    [
        ("mailctl", "look", '{"mailctl_files": "text"}', "argument 'mailctl_files' is of type str"),
        ("mailctl", "main", '{"mailctl_overwrite": "perhaps"}', "argument 'mailctl_overwrite' is of type str"),
        ("mailctl_monitoring", "main", '{"mailctl_monitoring_journal": "x"}', "argument 'mailctl_monitoring_journal'"),
    ],
)
def test_a_variable_of_another_type_is_named_before_the_first_task(
    tmp_path: Path, role: str, tasks: str, argument: str, said: str
) -> None:
    (tmp_path / "play.yml").write_text(LOOK.format(role=role, tasks=tasks))
    (tmp_path / "roles").symlink_to(ROLES)
    command = ("ansible-playbook", "-i", "localhost,", "-c", "local", tmp_path / "play.yml", "-e", argument)
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert done.stdout.count("TASK [") == 1


def test_the_first_host_of_the_fleet_stops_the_rest() -> None:
    look, make = load(ROLES / "site.yml")
    assert look["any_errors_fatal"] is True
    assert make["serial"] == [1, "50%", "100%"]
    assert make["max_fail_percentage"] == 0


def test_no_template_knows_a_service() -> None:
    templates = [path.name for path in ROLES.rglob("templates/*")]
    assert templates
    assert all(name.startswith("mailctl-") for name in templates)


def test_the_vault_of_the_example_is_encrypted_and_opens() -> None:
    vault = "inventory/group_vars/all/vault.yml"
    assert (CHECKOUT / vault).read_text().startswith("$ANSIBLE_VAULT;")
    assert "vault_ali" in run("ansible-vault", "view", vault)


@pytest.fixture(scope="module")
def hosts() -> dict[str, Any]:
    """The variables of each host of the inventory."""
    listing = json.loads(run("ansible-inventory", "-i", "inventory/hosts.yml", "--list"))
    found: dict[str, Any] = listing["_meta"]["hostvars"]
    return found


def test_inventory_and_spec_name_the_same_hosts(hosts: dict[str, Any]) -> None:
    assert hosts.keys() == load(INVENTORY / "files/mailctl.yml")["hosts"].keys()


@pytest.mark.parametrize(
    ("host", "role", "files"),
    [
        ("mx1", "full", {"/etc/dovecot/mailctl.users", "/etc/opendkim.conf", "virtual_mailbox"}),
        ("mx2", "backup-mx", {"relay_recipients", "transport"}),
        ("app1", "send-only", {"/etc/dovecot/mailctl.smtp-users", "/etc/opendkim.conf", "sender_login"}),
    ],
)
def test_one_spec_makes_each_host(tmp_path: Path, host: str, role: str, files: set[str]) -> None:
    (tmp_path / "secrets").mkdir()
    spec = tmp_path / "mailctl.yml"
    spec.write_text((INVENTORY / "files/mailctl.yml").read_text())
    for name, secret in yaml.safe_load(run("ansible-vault", "view", "inventory/group_vars/all/vault.yml")).items():
        (tmp_path / "secrets" / name.removeprefix("vault_")).write_text(secret)
    plan = json.loads(run("mailctl", "plan", "-f", spec, "--host", host, "--root", tmp_path / "none", "--json"))
    names = {each["name"] for each in plan["files"]}
    assert files <= names
    assert any(each["kind"] == "server" and f"role {role} " in each["detail"] for each in plan["effects"])
    assert plan["diagnostics"] == []
    # Only who stores mail has passwords for mailboxes, and only app1 sends everything to the relay.
    assert ("/etc/dovecot/mailctl.users" in names) == (host == "mx1")


def test_the_backup_knows_every_recipient_of_the_spec(tmp_path: Path) -> None:
    spec = tmp_path / "mailctl.yml"
    text = (INVENTORY / "files/mailctl.yml").read_text()
    # A backup stores nothing: it needs no password.
    spec.write_text(text.replace("password: {file: secrets/ali}, ", "").replace("password: {file: secrets/shop}, ", ""))
    run("mailctl", "render", "-f", spec, "--host", "mx2", "-o", tmp_path / "out")
    (table,) = (tmp_path / "out").rglob("relay_recipients")
    listed = {line.split()[0] for line in table.read_text().splitlines() if line[:1] not in ("#", "")}
    assert listed == {f"{name}@example.org" for name in ("ali", "shop", "info", "postmaster", "abuse")}


def test_vagrant_makes_the_hosts_of_the_inventory(hosts: dict[str, Any], require_tools: Callable[..., None]) -> None:
    require_tools("ruby")
    run("ruby", "-c", "Vagrantfile")
    machines = json.loads(run("ruby", CHECKOUT / "tests/ansible/vagrant.rb", "Vagrantfile"))
    addresses = {name: machine["networks"][0]["ip"] for name, machine in machines.items()}
    assert addresses == {name: variables["ansible_host"] for name, variables in hosts.items()}
    assert all(machine["hostname"] == f"{name}.example.org" for name, machine in machines.items())
    playbooks = [each for machine in machines.values() for each in machine["provisioners"] if each["kind"] == "ansible"]
    assert [(each["playbook"], each["limit"]) for each in playbooks] == [("roles/site.yml", "all")]
    assert playbooks[0]["inventory_path"] == "inventory/hosts.yml"


def test_the_collection_has_the_version_of_mailctl() -> None:
    assert load(ROLES / "collection/galaxy.yml")["version"] == mailctl.__version__
