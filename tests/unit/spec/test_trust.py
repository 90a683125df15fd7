"""Root acts on a spec only where nobody else could have written it; real files, owners and modes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailctl.errors import ExitCode
from mailctl.plan.saved import SavedPlan
from mailctl.spec.load import load_spec
from mailctl.spec.trust import ACCESS_LIST, spec_files, trusted_users, untrusted

STRANGER = 54321
HASH = "{SHA512-CRYPT}$6$I98QB7F0HNZ0gxVR$G/7elX3bnNouV8vUsUavBnv611L1zFhQARisJ.33LUsWmD2ntEBbTtCKUY6mXhQLrtL5qr"
SPEC = """\
version: 1
server: {hostname: mx1.example.org}
tls: {self_signed: true}
domains: {example.org: {mailboxes: {ali: {password: {file: secrets/ali}}}}}
include: [users.d/*.yml, users.csv]
"""


@pytest.fixture
def folder(tmp_path: Path, require_root: None) -> Path:
    """A spec with an include, a table and a secret, all of root's."""
    for name in ("users.d", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "mail.yml").write_text(SPEC)
    (tmp_path / "users.d/bob.yml").write_text(
        f'domains: {{example.org: {{mailboxes: {{bob: {{password: {{hash: "{HASH}"}}}}}}}}}}\n'
    )
    (tmp_path / "users.csv").write_text(f"address,password_hash\nzoe@example.org,{HASH}\n")
    (tmp_path / "secrets/ali").write_text(HASH)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path


def found(folder: Path, users: frozenset[int] = frozenset({0})) -> dict[str, str]:
    problems = untrusted(spec_files(load_spec(folder / "mail.yml")), users)
    return {str(Path(each.origin.file).relative_to(folder)): each.message for each in problems}


def test_a_spec_of_root_is_fine(folder: Path) -> None:
    assert found(folder) == {}


@pytest.mark.parametrize("name", [".", "mail.yml", "users.d", "users.d/bob.yml", "users.csv", "secrets", "secrets/ali"])
def test_what_somebody_else_owns_is_refused(name: str, folder: Path) -> None:
    os.chown(folder / name, STRANGER, -1)
    assert found(folder) == {name: f"belongs to user {STRANGER}"}
    assert found(folder, frozenset({0, STRANGER})) == {}


@pytest.mark.parametrize("name", [".", "mail.yml", "users.d", "users.d/bob.yml", "users.csv", "secrets", "secrets/ali"])
def test_what_somebody_else_can_write_is_refused(name: str, folder: Path) -> None:
    (folder / name).chmod(0o777)
    assert found(folder) == {name: "everybody can write it"}


def test_a_group_with_others_in_it_is_somebody_else(folder: Path) -> None:
    os.chown(folder / "mail.yml", 0, STRANGER)
    (folder / "mail.yml").chmod(0o664)
    assert found(folder) == {}, "a group without members is nobody"
    os.chown(folder / "mail.yml", 0, 1)  # daemon's own
    assert found(folder) == {"mail.yml": "the group daemon can write it"}


@pytest.mark.parametrize(
    ("mask", "message"), [(0o6, "the group root can write it"), (0o4, ""), (0o0, "")], ids=["rw", "r", "none"]
)
def test_an_access_list_counts_as_far_as_its_mask_lets_it(mask: int, message: str, folder: Path) -> None:
    """acl(5): a user of the list may write what the mask allows, and stat(2) shows the mask as the group's bits."""
    entries = [(1, 6, -1), (2, 6, STRANGER), (4, 4, -1), (0x10, mask, -1), (0x20, 4, -1)]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(folder / "mail.yml", ACCESS_LIST, packed)
    assert found(folder) == ({"mail.yml": message} if message else {})


def test_a_sticky_folder_is_fine_and_a_foreign_file_in_it_is_not(folder: Path) -> None:
    (folder / "users.d").chmod(0o1777)
    assert found(folder) == {}
    os.chown(folder / "users.d/bob.yml", STRANGER, -1)
    assert found(folder) == {"users.d/bob.yml": f"belongs to user {STRANGER}"}


def test_links_are_followed_and_count_themselves(folder: Path) -> None:
    (folder / "real").mkdir(mode=0o755)
    (folder / "mail.yml").rename(folder / "real/spec.yml")
    (folder / "mail.yml").symlink_to("real/../real/spec.yml")
    assert found(folder) == {}
    os.chown(folder / "mail.yml", STRANGER, -1, follow_symlinks=False)
    (folder / "real").chmod(0o777)
    assert found(folder) == {"mail.yml": f"belongs to user {STRANGER}", "real": "everybody can write it"}


def test_dots_after_a_link_are_where_the_link_leads(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`link/../mail.yml` is the neighbour of what the link names, not of the link."""
    foreign = tmp_path_factory.mktemp("foreign")
    (foreign / "sub").mkdir()
    (foreign / "mail.yml").write_text("version: 1")
    os.chown(foreign / "mail.yml", STRANGER, -1)
    (folder / "link").symlink_to(foreign / "sub")
    (problem,) = untrusted([folder / "link/../mail.yml"], frozenset({0}))
    assert problem.origin.file == str(foreign / "mail.yml")


def test_a_file_handed_over_as_a_descriptor_counts_as_itself(folder: Path) -> None:
    with (folder / "mail.yml").open() as file:
        handed = Path(f"/proc/self/fd/{file.fileno()}")
        assert untrusted([handed], frozenset({0})) == []
        os.chown(folder / "mail.yml", STRANGER, -1)
        assert [problem.origin.file for problem in untrusted([handed], frozenset({0}))] == [str(folder / "mail.yml")]
        (folder / "mail.yml").unlink()
        assert [problem.message for problem in untrusted([handed], frozenset({0}))] == [
            "cannot be looked at: no such file or directory"
        ]


def test_a_path_through_the_root_of_a_process_is_refused(folder: Path) -> None:
    """Its link says `/`, whatever that process sees there."""
    script = f"mount --bind {folder}/users.d {folder}/secrets && echo ready && read line"
    argv = ["unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            inside = Path(f"/proc/{process.pid}/root{folder}/secrets/bob.yml")
            (folder / "secrets/bob.yml").write_text("another")
            (problem,) = untrusted([inside], frozenset({0}))
        finally:
            process.kill()
    assert problem.message == "leads elsewhere than its links say"


@pytest.mark.parametrize(("variable", "users"), [("1000", {0, 1000}), ("", {0}), ("-1", {0}), ("x", {0})])
def test_sudo_names_the_second_trusted_user(variable: str, users: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", variable)
    assert trusted_users() == users


def apply(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """With nobody to answer: were the check missing, nothing of this machine would change."""
    argv = [sys.executable, "-P", "-m", "mailctl", "apply", "--no-input", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def test_apply_refuses_before_it_asks_to_go_on(folder: Path, require_tools: Callable[..., None]) -> None:
    require_tools("postconf", "dovecot", "opendkim")
    (folder / "users.csv").chmod(0o666)
    done = apply("-f", folder / "mail.yml")
    assert done.returncode == ExitCode.SPEC_INVALID, done.stderr
    assert f"{folder}/users.csv: everybody can write it\n    hint: chmod go-w {folder}/users.csv" in done.stderr
    assert "somebody else than root could change what this spec says" in done.stderr


def test_apply_refuses_a_saved_plan_that_others_can_write(folder: Path, require_tools: Callable[..., None]) -> None:
    """It names the spec that is applied."""
    require_tools("postconf", "dovecot", "opendkim")
    plan = folder / "plan"
    plan.write_bytes(SavedPlan(str(folder / "mail.yml"), "", None, "", "").as_bytes())
    plan.chmod(0o666)
    done = apply(plan)
    assert done.returncode == ExitCode.SPEC_INVALID, done.stderr
    assert f"{plan}: everybody can write it" in done.stderr
