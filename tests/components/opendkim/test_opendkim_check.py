"""What is found wrong before OpenDKIM would answer 451 to all mail; real openssl and opendkim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import dns.rrset
import pytest

from mailctl.components import opendkim
from mailctl.components.base import Staged
from mailctl.dkim.key_table import key_table
from mailctl.dkim.keys import ensure_key, key_bits, key_of, public_key_record
from mailctl.dkim.states import KeyState, write_states
from mailctl.errors import Problem, Severity
from mailctl.host import LocalHost
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from mailctl.tree import Tree

STAGED = PurePosixPath("/staged")
KEY = key_of(DEBIAN_12, "example.org", "s2026a")


class Folder(LocalHost):
    """A folder whose files get owners, as those of a live host do."""

    def sets_owners(self) -> bool:
        return True


class Stage:
    """A folder that stands for a machine, with the files staged and the keys made."""

    def __init__(self, root: Path) -> None:
        self.host = Folder(root)
        self.spec = load_spec(Path(__file__).parent / "golden/one-domain/spec.yml")
        self.tree = Tree.of(opendkim.render(self.spec, DEBIAN_12))
        self.staged = Staged(STAGED, self.tree)
        for file in self.tree:
            self.host.make_directory(self.staged.path(file.path).parent)
            self.host.create(self.staged.path(file.path), file.content, file.mode)
        self.build(self.spec)

    @property
    def key_file(self) -> Path:
        return self.host.path(KEY.path)

    def build(self, spec: Spec) -> None:
        assert opendkim.build(self.host, spec, DEBIAN_12, self.tree) == []

    def check(self, spec: Spec | None = None) -> list[Problem]:
        return opendkim.check(self.host, spec or self.spec, DEBIAN_12, self.staged)


@pytest.fixture
def stage(tmp_path: Path, require_root: None, require_tools: Callable[..., None]) -> Stage:
    require_tools("opendkim", "openssl")
    return Stage(tmp_path)


def with_bits(spec: Spec, bits: int) -> Spec:
    record = spec.domains["example.org"]
    assert record.dkim
    changed = record.model_copy(update={"dkim": record.dkim.model_copy(update={"bits": bits})})
    return spec.model_copy(update={"domains": {"example.org": changed}})


def test_the_record_to_publish_lies_beside_the_key_in_zone_file_form(stage: Stage) -> None:
    text = stage.host.path(KEY.record_path).read_text()
    name, rest = text.split(" ", 1)
    rrset = dns.rrset.from_text(name, 3600, "IN", "TXT", rest.removeprefix("IN TXT ( ").removesuffix(" )\n"))
    assert name == "s2026a._domainkey.example.org."
    assert b"".join(rrset[0].strings).decode() == public_key_record(stage.host, KEY)


def test_a_staged_tree_with_its_key_is_fine(stage: Stage) -> None:
    assert stage.check() == []


def test_a_key_is_private_belongs_to_the_signer_and_has_the_length_asked_for(stage: Stage) -> None:
    state = stage.host.stat(KEY.path)
    folder = stage.host.stat(KEY.path.parent)
    assert state
    assert folder
    assert (state.mode, state.owner, state.group) == (0o600, "opendkim", "opendkim")
    assert (folder.mode, folder.owner, folder.group) == (0o750, "root", "opendkim")
    assert key_bits(stage.host, KEY) == 2048


def test_a_key_is_made_once_and_another_length_is_only_a_warning(stage: Stage) -> None:
    before = stage.key_file.read_bytes()
    longer = with_bits(stage.spec, 3072)
    stage.build(longer)
    assert stage.key_file.read_bytes() == before
    (problem,) = stage.check(longer)
    assert problem.severity is Severity.WARNING
    assert "2048 bits, the spec says 3072" in problem.message


def test_a_crash_while_a_key_is_made_leaves_no_half_of_one(stage: Stage) -> None:
    stage.key_file.with_name(f".{stage.key_file.name}.new").write_bytes(b"half a k")
    stage.key_file.unlink()
    stage.build(stage.spec)
    assert stage.check() == []
    assert {path.name for path in stage.key_file.parent.iterdir()} == {KEY.path.name, KEY.record_path.name}


def test_a_new_key_in_place_of_a_lost_one_gets_a_new_record(stage: Stage) -> None:
    before = stage.host.path(KEY.record_path).read_text()
    stage.key_file.unlink()
    stage.build(stage.spec)
    assert stage.host.path(KEY.record_path).read_text() != before


def test_the_record_holds_the_public_half(stage: Stage) -> None:
    record = public_key_record(stage.host, KEY)
    assert record.startswith("v=DKIM1; k=rsa; p=MIIB")
    done = stage.host.run(["openssl", "pkey", "-in", stage.key_file, "-pubout"])
    pem = "".join(line for line in done.stdout.decode().splitlines() if "-" not in line)
    assert record.endswith(f"p={pem}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda key: key.chmod(0o640), "others can read the key"),
        (lambda key: key.unlink(), "does not exist"),
        (lambda key: key.write_bytes(b"no key"), "openssl"),
        (lambda key: key.parent.chmod(0o777), "everybody can write the folder"),
    ],
    ids=["readable", "missing", "damaged", "open folder"],
)
def test_a_key_opendkim_would_refuse_is_found(stage: Stage, damage: Callable[[Path], None], message: str) -> None:
    damage(stage.key_file)
    (problem,) = stage.check()
    assert problem.severity is Severity.ERROR
    assert message in problem.message
    assert problem.path == "domains.example.org.dkim"


def test_a_key_that_belongs_to_root_is_found(stage: Stage) -> None:
    stage.host.set_permissions(KEY.path, 0o600, "root", "root")
    assert "belongs to root" in stage.check()[0].message


def test_opendkim_itself_reads_the_staged_files(stage: Stage) -> None:
    conf = stage.tree.files[DEBIAN_12.opendkim_conf]
    broken = replace(conf, content=conf.content + b"Nonsense yes\n")
    stage.host.path(stage.staged.path(conf.path)).write_bytes(broken.content)
    assert "unrecognized parameter" in stage.check()[0].message


def test_a_staged_table_that_is_missing_is_found(stage: Stage) -> None:
    stage.host.path(stage.staged.path(DEBIAN_12.opendkim_dir / "SigningTable")).unlink()
    assert "SigningTable" in stage.check()[0].message


def test_a_key_table_that_is_missing_is_found(stage: Stage) -> None:
    stage.host.path(key_table(DEBIAN_12)).unlink()
    assert "KeyTable" in stage.check()[0].message


def test_a_key_that_took_over_signs_instead_of_the_one_the_spec_names(stage: Stage) -> None:
    """And the key the spec names is not made anew once it was deleted."""
    new = key_of(DEBIAN_12, "example.org", "s2026b")
    ensure_key(stage.host, DEBIAN_12, new, 2048)
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    old = KeyState(KEY, long_ago, long_ago, long_ago, long_ago, long_ago, replaced_by="s2026b")
    write_states(stage.host, DEBIAN_12, "example.org", [old, KeyState(new, long_ago, long_ago)])
    stage.key_file.unlink()
    stage.build(stage.spec)
    assert stage.check() == []
    assert not stage.key_file.exists()
    rows = stage.host.path(key_table(DEBIAN_12)).read_text().splitlines()[1:]
    assert rows == [
        f"s2026a._domainkey.example.org example.org:s2026b:{new.path}",
        f"s2026b._domainkey.example.org example.org:s2026b:{new.path}",
    ]
