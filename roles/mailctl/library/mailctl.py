#!/usr/bin/python
"""Ansible module: make a mail server what its mailctl spec says."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mailctl
short_description: Make a mail server what its mailctl spec says
version_added: "0.1.0"
description:
  - Runs C(mailctl apply) on a host, or shows what it would do.
  - C(mailctl) renders Postfix, Dovecot and OpenDKIM from one YAML spec, checks everything before it touches the server,
    and puts the old configuration back when anything fails.
  - The module knows nothing of Postfix. It places the spec, asks C(mailctl) and tells what it said.
options:
  spec:
    description:
      - The spec on the host.
      - Messages name it by its last part, with line and column, where O(source) is not given.
    type: path
    default: /etc/mailctl/mailctl.yml
  content:
    description:
      - What the spec shall say; never logged. Nothing is placed before C(mailctl) has accepted it.
      - Without it the spec that lies on the host is used as it is.
    type: str
  source:
    description:
      - Where O(content) was read, on the controller. Messages name that file, with line and column.
    type: path
  files:
    description:
      - Files the spec names, by their path relative to it, such as secrets and included files.
      - Placed with mode 0600, owned by root. Their content is never logged. A file that is no longer listed stays.
      - Needs O(content).
    type: dict
    default: {}
  host:
    description:
      - Which host of the spec this is, where the spec describes a fleet.
    type: str
  units:
    description:
      - Units of systemd that are enabled, and run once the spec is applied.
      - Those of O(record) where none are given.
    type: list
    elements: str
    default: []
  executable:
    description:
      - The program C(mailctl).
    type: str
    default: mailctl
  record:
    description:
      - A JSON file in which a playbook keeps what it brought the host to, C(release) and C(units).
    type: path
  release:
    description:
      - What O(record) must name as C(release). Where it names another one, or is missing, the host needs the rest of
        the playbook first. Check mode then returns RV(installed=false), and the plan of the release
        that is there, if it can make one.
    type: str
  root:
    description:
      - Compare with the files below this folder instead of the machine, as C(mailctl --root) does. Only in check mode.
      - With a folder that does not exist, the plan is that of a new machine.
    type: path
  overwrite:
    description:
      - Replace files that were changed by hand. C(mailctl) keeps a copy of them.
    type: bool
    default: false
  allow_destroy:
    description:
      - Go on even where more than 30 % of the addresses would be removed.
    type: bool
    default: false
attributes:
  check_mode:
    description: Shows the plan and changes nothing, the spec included.
    support: full
  diff_mode:
    description: Shows the plan, effects for mail first. Secrets are named, never shown.
    support: full
author:
  - mailctl developers (@mailctl)
"""

EXAMPLES = r"""
- name: Make the server what the spec says
  mailctl.mail.mailctl:
    content: "{{ lookup('ansible.builtin.file', 'mailctl.yml') }}"
    source: mailctl.yml
    files: "{{ vault_mail_secrets }}"
    host: "{{ inventory_hostname }}"

- name: Show what the spec on the host would change
  mailctl.mail.mailctl:
    spec: /etc/mailctl/mailctl.yml
  check_mode: true
  diff: true
"""

RETURN = r"""
pending:
  description: Whether something was to do.
  returned: always
  type: bool
installed:
  description: Whether C(mailctl) is installed, in the release that is wanted.
  returned: always
  type: bool
summary:
  description: The plan in one line.
  returned: when C(mailctl) made a plan
  type: str
  sample: "Plan: 1 to add, 0 to change, 0 to remove. Postfix: reload."
effects:
  description: What changes for mail; C(action), C(kind), C(name), C(detail), C(file), C(line), C(column) of each.
  returned: when C(mailctl) made a plan
  type: list
  elements: dict
services:
  description: What each service must do; C(service), C(action), C(reason).
  returned: when C(mailctl) made a plan
  type: list
  elements: dict
generation:
  description: The number of the generation that serves now; null where nothing was applied yet.
  returned: when C(mailctl) made a plan
  type: int
release:
  description: The release that was asked for.
  returned: always
  type: str
applied:
  description: The number of the generation that was made; null where none was.
  returned: always
  type: int
placed:
  description: Files of the spec that were written, or would be.
  returned: always
  type: list
  elements: str
units:
  description: Units that were enabled or started, or would be.
  returned: always
  type: list
  elements: str
diagnostics:
  description: What C(mailctl) found; C(file), C(line), C(column), C(path), C(message), C(hint), C(severity) of each.
  returned: when C(mailctl) found something
  type: list
  elements: dict
rc:
  description:
    - The exit code of C(mailctl); 65 for a spec that is not valid, 75 where another apply or a hand edit is in the way.
  returned: on failure
  type: int
"""

import json
import os
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MARKERS = {"add": "+", "change": "~", "remove": "-"}
PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "spec": {"type": "path", "default": "/etc/mailctl/mailctl.yml"},
            "content": {"type": "str", "no_log": True},
            "source": {"type": "path"},
            "files": {"type": "dict", "default": {}, "no_log": True},
            "host": {"type": "str"},
            "units": {"type": "list", "elements": "str", "default": []},
            "executable": {"type": "str", "default": "mailctl"},
            "record": {"type": "path"},
            "release": {"type": "str"},
            "root": {"type": "path"},
            "overwrite": {"type": "bool", "default": False},
            "allow_destroy": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if module.params["root"] and not module.check_mode:
        module.fail_json(msg="root is for check mode: the module applies to the machine itself")
    if module.params["files"] and module.params["content"] is None:
        module.fail_json(msg="files needs content: what lies on the host already is not changed in parts")
    release = module.params["release"]
    result = {"changed": False, "pending": False, "installed": True, "release": release, "applied": None}
    result.update(placed=[], units=[])
    executable, record = find_executable(module), read_record(module)
    if executable is None or record.get("release") != release:
        result.update(installed=False, msg=tell_what_is_missing(module, executable))
        if not module.check_mode:
            module.fail_json(**result)
        result["changed"] = result["pending"] = True
        if executable is not None:
            tell_what_another_says(module, executable, result)
        module.exit_json(**result)
    make_it_so(module, executable, module.params["units"] or record.get("units", []), result)
    module.exit_json(**result)


def find_executable(module: AnsibleModule) -> str | None:
    executable: str | None = module.params["executable"]
    if executable and "/" not in executable:
        executable = module.get_bin_path(executable, opt_dirs=["/usr/local/sbin", "/opt/mailctl/bin"])
    return executable if executable and os.access(executable, os.X_OK) else None


def tell_what_is_missing(module: AnsibleModule, executable: str | None) -> str:
    if executable is not None:
        return f"mailctl is not installed here in the release that is wanted: {executable}"
    remedy = ": `pip install mailctl` beside Ansible brings it" if module.params["root"] else ""
    return f"mailctl is not installed here, there is no {module.params['executable']}{remedy}"


def read_record(module: AnsibleModule) -> dict[str, Any]:
    """What an earlier run brought the host to; the release that is wanted, where no record is kept."""
    if not module.params["record"]:
        return {"release": module.params["release"]}
    try:
        found: dict[str, Any] = json.loads(read(Path(module.params["record"])) or b"{}")
    except ValueError:
        return {}
    return found


def tell_what_another_says(module: AnsibleModule, executable: str, result: dict[str, Any]) -> None:
    """The plan of another release, for --check --diff; one that does not understand the spec is no judge of it."""
    spec = Path(module.params["spec"])
    wanted = wanted_files(module, spec.parent)
    staged = stage(module, wanted, spec) if wanted else spec
    code, plan = ask(module, executable, staged, ["apply", "--check"])[:2]
    if code == 0 and plan is not None:
        tell(module, plan, result)


def make_it_so(module: AnsibleModule, executable: str, units: list[str], result: dict[str, Any]) -> None:
    """Plan, and outside check mode apply; `result` learns what happened."""
    spec = Path(module.params["spec"])
    wanted = wanted_files(module, spec.parent)
    changed = {path: content for path, content in wanted.items() if not holds(path, content)}
    staged = stage(module, wanted, spec) if changed else spec
    plan = run_mailctl(module, executable, staged, ["apply", "--check"], result)
    if module.params["root"]:
        changed, units = {}, []
    result["placed"], result["units"] = sorted(map(str, changed)), sleeping_units(module, units)
    result["changed"] = result["pending"] = bool(changed or not plan["empty"] or result["units"])
    tell(module, plan, result)
    if module.check_mode or not result["pending"]:
        return
    before: dict[Path, bytes | None] = {}
    try:
        place_all(module, changed, before, result)
        if not plan["empty"]:
            done = run_mailctl(module, executable, spec, ["apply", "--yes"], result)
            result["generation"] = result["applied"] = done["applied"]
    except SystemExit:
        # The old configuration serves again; the files it was made from come back as well.
        put_back(before)
        raise
    if result["units"]:
        module.run_command(["systemctl", "enable", "--now", "--", *result["units"]], check_rc=True)


def wanted_files(module: AnsibleModule, folder: Path) -> dict[Path, bytes]:
    """What the spec and the files beside it shall hold, by their paths on the host."""
    content = module.params["content"]
    if content is None:
        return {}
    found = {folder / Path(module.params["spec"]).name: content.encode()}
    for name, text in module.params["files"].items():
        if not isinstance(text, str):
            module.fail_json(msg=f"files: {name!r} is no text")
        if str(Path(name)) != name or not name.strip("./") or Path(name).is_absolute() or ".." in Path(name).parts:
            module.fail_json(msg=f"files: {name!r} is no path below the folder of the spec")
        found[folder / name] = text.encode()
    return found


def stage(module: AnsibleModule, wanted: dict[Path, bytes], spec: Path) -> Path:
    """The spec in a private copy of its folder, which goes when the module ends."""
    folder = Path(tempfile.mkdtemp(dir=module.tmpdir))
    for path, content in wanted.items():
        place(folder / path.relative_to(spec.parent), content)
    return folder / spec.name


def place_all(
    module: AnsibleModule, files: dict[Path, bytes], before: dict[Path, bytes | None], result: dict[str, Any]
) -> None:
    """Place `files`; `before` learns what each one placed held, None where it is new."""
    for path, content in files.items():
        old = read(path)
        try:
            place(path, content)
        except OSError as error:
            module.fail_json(msg=f"cannot write {path}: {error.strerror}", **{**result, "changed": False})
        before[path] = old


def place(path: Path, content: bytes) -> None:
    """Write a private file in one step; who reads it sees the old content or the new."""
    path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()  # it may hold a secret
        raise


def put_back(files: dict[Path, bytes | None]) -> None:
    for path, content in files.items():
        if content is None:
            path.unlink()
        else:
            place(path, content)


def holds(path: Path, content: bytes) -> bool:
    """Whether a file is there as it would be placed."""
    try:
        state = path.stat()
    except OSError:
        return False
    return (state.st_mode & 0o7777, state.st_uid) == (PRIVATE_FILE, os.geteuid()) and read(path) == content


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def run_mailctl(
    module: AnsibleModule, executable: str, spec: Path, verb: list[str], result: dict[str, Any]
) -> dict[str, Any]:
    """The JSON object of one run; fails the module with all that was wrong."""
    if not spec.parent.is_dir():
        module.fail_json(msg=f"there is no spec {spec}", **result)
    code, said, words = ask(module, executable, spec, verb)
    if said is None:
        module.fail_json(msg=f"mailctl exited with {code} and said: {words}", rc=code, **result)
    found = [each for each in said.get("diagnostics", []) if each.get("message")]
    if code != 0:
        lines = [said.get("error", f"mailctl exited with {code}"), *map(describe, found)]
        more = {"diagnostics": found, "rc": code, "changed": False}
        module.fail_json(msg="\n".join(dict.fromkeys(lines)), **{**result, **more})
    if found:
        result["diagnostics"] = found
    return said


def ask(module: AnsibleModule, executable: str, spec: Path, verb: list[str]) -> tuple[int, dict[str, Any] | None, str]:
    """Exit code and JSON object of one run; where it printed something else, None and what it said."""
    argv = [executable, *verb, "--json", "--no-input", "-f", spec.name]
    for option in ("host", "root"):
        if module.params[option]:
            argv += [f"--{option}", module.params[option]]
    argv += [f"--{option.replace('_', '-')}" for option in ("overwrite", "allow_destroy") if module.params[option]]
    # In the folder of the spec, so that messages say mailctl.yml:14:9 wherever the copy lies.
    code, out, err = module.run_command(argv, cwd=str(spec.parent))
    try:
        said: dict[str, Any] = json.loads(out)
    except ValueError:
        return code, None, err.strip() or out.strip()
    for each in said.get("diagnostics", []):
        if module.params["source"] and each.get("file") == spec.name:
            each["file"] = module.params["source"]
    return code, said, ""


def describe(found: dict[str, Any]) -> str:
    """`mailctl.yml:14:9: domains.example.org: what is wrong (what to do)`."""
    line = f"{found['line']}:{found['column']}" if found.get("line") else ""
    place = ":".join(filter(None, (found.get("file"), line)))
    text = ": ".join(filter(None, (place, found.get("path"), found["message"])))
    return f"{text} ({found['hint']})" if found.get("hint") else text


def tell(module: AnsibleModule, plan: dict[str, Any], result: dict[str, Any]) -> None:
    """What the plan says: in values, as warnings, and for --diff."""
    result["summary"] = plan["summary"]["text"]
    result.update({key: plan[key] for key in ("effects", "services", "generation")})
    for each in plan["diagnostics"]:
        module.warn(describe(each))
    if result["pending"]:
        result["diff"] = [{"prepared": "\n".join([*effect_lines(plan), *file_lines(plan), result["summary"], ""])}]


def effect_lines(plan: dict[str, Any]) -> list[str]:
    """`+ mailbox carol@example.org  quota 2G  mailctl.yml:19`."""
    lines = []
    for each in plan["effects"]:
        where = f"{each['file']}:{each['line']}" if each["file"] else ""
        heading = f"{MARKERS[each['action']]} {each['kind']} {each['name']}"
        lines.append("  ".join(filter(None, (heading, each["detail"], where))))
    return lines


def file_lines(plan: dict[str, Any]) -> list[str]:
    """Files with what differs in them; of a secret, and of a new one, the name."""
    lines = []
    for each in plan["files"]:
        lines.append(f"{MARKERS[each['action']]} {each['name']}" + ("  (secret, not shown)" if each["secret"] else ""))
        lines += [f"    {line}" for line in each["diff"] or [] if each["action"] != "add"]
    return lines


def sleeping_units(module: AnsibleModule, units: list[str]) -> list[str]:
    """The units that are not enabled or do not run."""
    if not units:
        return []
    out = module.run_command(["systemctl", "show", "--property=UnitFileState,ActiveState", "--", *units])[1]
    # One block for each unit, in the order asked; the same for units that do not exist.
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]
    states = [(block.get("UnitFileState"), block.get("ActiveState")) for block in blocks]
    return [unit for unit, state in zip_longest(units, states[: len(units)]) if state != ("enabled", "active")]


if __name__ == "__main__":
    main()
