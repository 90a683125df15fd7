"""The real file system through LocalHost, below a folder."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from mailctl.errors import BusyError, UnfitError
from mailctl.host import LocalHost, create_whole

FILE = PurePosixPath("/etc/postfix/main.cf")


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(tmp_path)
    host.make_directory(FILE.parent)
    return host


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folders_have_their_modes_whatever_the_umask(host: LocalHost, umask: int) -> None:
    before = os.umask(umask)
    try:
        host.create(FILE, b"x = 1\n", 0o640)
        host.make_directory(PurePosixPath("/var/lib/new"), 0o2750)
        host.append(PurePosixPath("/var/journal"), b"one\n")
    finally:
        os.umask(before)
    modes = {path: host.stat(PurePosixPath(path)).mode for path in (str(FILE), "/var/lib/new", "/var", "/var/journal")}  # type: ignore[union-attr]
    assert modes == {str(FILE): 0o640, "/var/lib/new": 0o2750, "/var": 0o755, "/var/journal": 0o600}


def test_a_new_file_never_replaces_one_and_follows_no_symlink(host: LocalHost, tmp_path: Path) -> None:
    host.create(FILE, b"one", 0o644)
    with pytest.raises(FileExistsError):
        host.create(FILE, b"two", 0o644)
    (tmp_path / "etc/postfix/link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        host.create(FILE.with_name("link"), b"two", 0o644)
    assert host.read(FILE) == b"one"
    assert not (tmp_path / "elsewhere").exists()


def test_an_existing_directory_keeps_its_mode(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "etc/postfix").chmod(0o711)
    host.make_directory(FILE.parent, 0o700)
    assert stat.S_IMODE((tmp_path / "etc/postfix").stat().st_mode) == 0o711


def test_a_second_name_is_the_very_file(host: LocalHost) -> None:
    host.create(FILE, b"one", 0o644)
    old = FILE.with_name("old")
    host.link(FILE, old)
    create_whole(host, FILE, b"two", 0o644)
    assert (host.read(FILE), host.read(old)) == (b"two", b"one")
    host.rename(old, FILE)
    assert host.read(FILE) == b"one"
    assert host.list_directory(FILE.parent) == ["main.cf"]


def test_what_is_not_there_is_nothing(host: LocalHost) -> None:
    missing = PurePosixPath("/etc/none/file")
    assert host.read(missing) is None
    assert host.stat(missing) is None
    assert host.list_directory(missing) == []
    host.remove(missing)
    host.remove_tree(missing)


def test_a_process_that_ends_while_it_is_read_about_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    def slowly(path: Path) -> bytes:
        """The process is gone once its file is open."""
        with path.open("rb") as file:
            os.waitpid(child, 0)
            return file.read()

    monkeypatch.setattr(Path, "read_bytes", slowly)
    assert LocalHost().read(PurePosixPath(f"/proc/{child}/status")) is None


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """write(2) fails beyond that; Python ignores the signal."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_what_could_not_be_added_to_a_file_is_not_there(host: LocalHost) -> None:
    host.append(FILE, b"one\n")
    with files_of_at_most(6), pytest.raises(OSError, match="File too large"):
        host.append(FILE, b"two\n")
    assert host.read(FILE) == b"one\n"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_write_that_fails_leaves_nothing_behind(host: LocalHost, is_there: bool) -> None:
    if is_there:
        host.create(FILE, b"old", 0o644)
    with files_of_at_most(4), pytest.raises(OSError, match="File too large"):
        create_whole(host, FILE, b"too long", 0o644)
    assert host.list_directory(FILE.parent) == (["main.cf"] if is_there else [])
    assert host.read(FILE) == (b"old" if is_there else None)


def test_a_folder_that_stands_for_a_host_has_no_services_and_no_owners(host: LocalHost) -> None:
    assert not host.is_live()
    host.create(FILE, b"one", 0o644, "no-such-user", "no-such-group")
    assert host.read(FILE) == b"one"


def test_an_unknown_owner_on_a_live_host_is_a_sentence(require_root: None, tmp_path: Path) -> None:
    path = PurePosixPath(tmp_path, "file")
    with pytest.raises(UnfitError, match="no user 'no-such-user'"):
        LocalHost().create(path, b"one", 0o644, "no-such-user", "root")


def test_one_holder_of_a_lock_at_a_time_and_a_dead_one_holds_nothing(host: LocalHost) -> None:
    path = PurePosixPath("/lock")
    with host.lock(path), pytest.raises(BusyError, match="another mailctl"), LocalHost(host.root).lock(path):
        pass
    child = os.fork()
    if child == 0:
        with LocalHost(host.root).lock(path):
            os._exit(0)
    os.waitpid(child, 0)
    with host.lock(path):
        pass


def test_what_fails_under_a_lock_is_not_taken_for_a_busy_lock(host: LocalHost) -> None:
    with pytest.raises(BlockingIOError), host.lock(PurePosixPath("/lock")):
        raise BlockingIOError("no more processes")  # fork(2)


def test_programs_get_no_secrets_from_the_environment_and_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISP_PASSWORD", "hunter2")
    monkeypatch.setenv("MAIL_CONFIG", "/tmp/evil")
    done = LocalHost().run(["env"])
    assert b"hunter2" not in done.stdout
    assert b"MAIL_CONFIG" not in done.stdout
    assert LocalHost().run(["echo", "$HOME; false"]).stdout == b"$HOME; false\n"


def test_a_program_of_the_users_path_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "postmap-of-mine"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnfitError, match="'postmap-of-mine' is not installed"):
        LocalHost().run(["postmap-of-mine"])


def test_a_program_that_hangs_is_a_sentence() -> None:
    with pytest.raises(UnfitError, match="did not end within"):
        LocalHost().run(["sleep", "5"], timeout=0.05)


def test_free_space_is_asked_of_the_nearest_folder_there_is(host: LocalHost) -> None:
    assert host.free_bytes(PurePosixPath("/not/there/yet")) == pytest.approx(
        os.statvfs(host.root).f_bavail * os.statvfs(host.root).f_frsize, rel=0.1
    )


def test_a_failed_write_says_which_file(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failure:
        host.create(FILE, b"one", 0o644)
    assert failure.value.filename == str(host.path(FILE))
