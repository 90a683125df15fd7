from __future__ import annotations

import subprocess
from dataclasses import replace

from mailctl.sandbox.process import Process


def test_a_process_is_alive_until_it_is_killed() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    process = Process.find(child.pid)
    assert process
    assert process.is_alive()
    assert process.kill()
    assert not process.is_alive()
    child.wait()
    assert Process.find(child.pid) is None


def test_another_process_with_the_same_id_is_left_alone() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        process = Process.find(child.pid)
        assert process
        impostor = replace(process, started=process.started - 1)
        assert not impostor.is_alive()
        assert impostor.kill()
        assert process.is_alive()
        process.kill()
