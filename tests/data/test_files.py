from __future__ import annotations

import logging

import pytest

from mechlearn.data.files import read_json, replace_folder, write_json
from mechlearn.data.progress import progress


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
    assert "visits: 3 of 3, 0 s to go c" in caplog.text
