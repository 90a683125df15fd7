"""Whatever spec is accepted: what Postfix, Dovecot and OpenDKIM say of the files made from it is nothing at all.

MAILCTL_SPECS asks for more specs than a few.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pytest
from component_server import settings_for
from hypothesis import HealthCheck, given, settings
from lab_kit import PROGRAMS

from mailctl.components import registry
from mailctl.errors import SpecError
from mailctl.host import LocalHost, create_whole
from mailctl.sandbox import Sandbox
from mailctl.spec.load import load_spec
from mailctl.spec.model import Spec
from mailctl.target import DEBIAN_12
from tests.property.generated import RELAY_PASSWORD, any_spec

pytestmark = [pytest.mark.real, pytest.mark.slow]

SPECS = int(os.environ.get("MAILCTL_SPECS", "15"))
# postfix check complains on a terminal only; see script(1).
CHECKERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Postfix": (
        *(("postconf", "-c", "/etc/postfix", option) for option in ("-n", "-M", "-P")),
        ("script", "-qec", "postfix -c /etc/postfix check", "/dev/null"),
    ),
    "Dovecot": (("doveconf", "-n"),),
    "OpenDKIM": (("opendkim", "-n"),),
}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, require_root: None, require_tools: Callable[..., None]
) -> Iterator[Sandbox]:
    require_tools(*PROGRAMS, "script")
    folder = tmp_path_factory.mktemp("zero")
    (folder / "state").mkdir()
    with Sandbox.start(LocalHost(), folder / "state", settings_for("mx1.example.com")) as sandbox:
        yield sandbox


def words_of_the_checkers(spec: Spec) -> list[str]:
    """What the services' own programs say of `spec`, in place of whatever was there; their output is not meant."""
    host, target = LocalHost(), DEBIAN_12
    tree = registry.render_tree(spec, target)
    host.remove_tree(target.generations_dir)
    for path in (target.opendkim_conf, PurePosixPath("/etc/dovecot/dovecot.conf")):
        host.remove(path)
    for directory in tree.directories:
        host.make_directory(directory.path, directory.mode, directory.owner, directory.group)
    for file in tree:
        host.make_directory(file.path.parent)
        create_whole(host, file.path, file.content, file.mode, file.owner, file.group)
    os.utime("/etc/postfix/main.cf", (1, 1))
    components = registry.enabled_components(spec)
    words = [str(problem) for each in components for problem in each.build(host, spec, target, tree)]
    for component in components:
        for command in CHECKERS.get(component.NAME, ()):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = done.stdout + done.stderr if command[0] == "script" else done.stderr
            words += [f"{' '.join(command)}: {line}" for line in said.splitlines()]
            words += [f"{' '.join(command)} ended with {done.returncode}"] if done.returncode else []
    return words


def test_the_checkers_of_the_services_say_nothing(server: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("specs")
    (folder / RELAY_PASSWORD).write_text("secret-of-the-relay")
    (folder / RELAY_PASSWORD).chmod(0o600)
    accepted: Counter[str] = Counter()

    @settings(max_examples=SPECS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(any_spec())
    def check(data: dict[str, Any]) -> None:
        (folder / "mail.yml").write_text(json.dumps(data, ensure_ascii=False))
        with suppress(SpecError):
            spec = load_spec(folder / "mail.yml")
            accepted[spec.server.role] += 1
            assert server.call_in_place(partial(words_of_the_checkers, spec)) == []

    check()
    assert sum(accepted.values()) > SPECS / 3, accepted


@pytest.mark.parametrize(
    ("fault", "checker", "said"),
    [
        ("echo no_such_parameter = 1 >> /etc/postfix/main.cf", 0, "unused parameter: no_such_parameter"),
        ("chmod g+w /etc/postfix/main.cf", 3, "group or other writable"),
    ],
)
def test_a_checker_that_says_something_is_heard(server: Sandbox, fault: str, checker: int, said: str) -> None:
    assert server.run(["sh", "-c", fault]).returncode == 0
    done = server.run(CHECKERS["Postfix"][checker])
    assert said in (done.stdout + done.stderr).decode()
