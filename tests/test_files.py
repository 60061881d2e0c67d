from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
import time

import pytest

from mechlearn.files import (
    exclusive,
    read_json,
    replace_folder,
    replacing,
    write_json,
    write_text,
)
from mechlearn.progress import progress


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert read_json(path) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_folder_replaces_an_older_one(tmp_path):
    for name in ("new", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    replace_folder(tmp_path / "new", tmp_path / "final")
    assert (tmp_path / "final/file").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_progress_without_a_terminal_logs_the_end(caplog):
    logger = logging.getLogger("test")
    with caplog.at_level(logging.INFO), progress("visits", 3, logger=logger) as advance:
        for name in "abc":
            advance(note=name)
    assert "visits: 3 of 3 done in" in caplog.messages[-1]


def test_second_comer_waits_for_the_first(tmp_path, caplog):
    order: list[str] = []

    def second() -> None:
        with exclusive(tmp_path, what="works here"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with exclusive(tmp_path, what="works here"):
        waiting.start()
        while "waiting for it" not in caplog.text:
            time.sleep(0.001)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*args: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    refused = pytest.raises(ValueError, match=r"\.lock: cannot be locked \(No locks available\)")
    with refused, exclusive(tmp_path, what="works here"):
        pass


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.nii.gz"
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys, time\n"
         "from mechlearn.files import replacing\n"
         f"with replacing({str(path)!r}):\n    print('in', flush=True)\n    time.sleep(60)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    (left,) = tmp_path.iterdir()
    with replacing(path) as partial:  # beside a writer that lives nothing is taken away
        write_text(path, "of another")
        assert partial.exists()
        assert not left.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]
