from __future__ import annotations

import pytest

from mechlearn.evaluation.finished import (
    FINGERPRINT,
    changed_parts,
    code_digest,
    fingerprint,
    finished_row,
    list_files,
    start,
)
from mechlearn.evaluation.rows import write_failure, write_row

PARTS = {"task": {"name": "grid", "slices": 4}, "sampler": {"nl": 200}, "weights": ["a", "b"]}
MARK = fingerprint(PARTS)


def test_equal_settings_have_one_fingerprint_whatever_their_order():
    turned = {**PARTS, "task": {"slices": 4, "name": "grid"}}
    assert fingerprint(turned) == MARK


@pytest.mark.parametrize(("part", "value"), [
    ("task", {"name": "grid", "slices": 5}), ("sampler", {"nl": 300}), ("weights", ["a", "c"]),
])
def test_what_changed_is_named(part, value):
    assert changed_parts(MARK, fingerprint({**PARTS, part: value})) == [part]


def test_a_finished_row_is_found_again(tmp_path):
    write_row(tmp_path, {"ssim": 0.9, FINGERPRINT: MARK})
    assert finished_row(tmp_path, MARK)[0]["ssim"] == 0.9


def test_a_row_of_other_settings_is_no_row(tmp_path):
    write_row(tmp_path, {FINGERPRINT: fingerprint({**PARTS, "sampler": {"nl": 300}})})
    assert finished_row(tmp_path, MARK) == (None, "changed since: sampler")


def test_no_row_a_row_without_a_mark_and_a_failure_run_again(tmp_path):
    assert finished_row(tmp_path, MARK) == (None, "no row yet")
    write_row(tmp_path, {"n": 1})
    assert finished_row(tmp_path, MARK) == (None, "its row has no fingerprint")
    write_row(tmp_path, {FINGERPRINT: MARK})
    write_failure(tmp_path, ValueError("later"))
    assert finished_row(tmp_path, MARK) == (None, "its last run failed")


@pytest.mark.parametrize(("damage", "found"), [
    (lambda path: path.unlink(), "missing or changed: deep/map.npz"),
    (lambda path: path.write_bytes(path.read_bytes()[:9]), "missing or changed: deep/map.npz"),
    (lambda path: path.with_name("more.txt").write_text("x"), ""),
])  # fmt: skip
def test_a_finished_job_whose_files_are_cut_runs_again(tmp_path, damage, found):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/map.npz").write_bytes(b"0123456789")
    (tmp_path / "evaluate.log").write_text("grows with every start")
    list_files(tmp_path)
    write_row(tmp_path, {FINGERPRINT: MARK})
    (tmp_path / "evaluate.log").write_text("more")
    assert finished_row(tmp_path, MARK)[1] == ""
    damage(tmp_path / "deep/map.npz")
    assert finished_row(tmp_path, MARK)[1] == found


def test_a_job_that_starts_leaves_no_row_of_another_behind(tmp_path):
    write_row(tmp_path, {FINGERPRINT: MARK})
    start(tmp_path)
    assert not (tmp_path / "row.json").exists()


def test_code_counts(monkeypatch):
    before = code_digest()
    code_digest.cache_clear()
    monkeypatch.setattr("mechlearn.__version__", "0.0.0+other")
    assert code_digest() != before
    code_digest.cache_clear()
