from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mechlearn.config.evaluating import finished_before, open_job
from mechlearn.evaluation.finished import FINGERPRINT, changed_parts
from mechlearn.evaluation.rows import write_row

Compose = Callable[..., DictConfig]


def mark_of(composed: Compose, *overrides: str) -> str:
    cfg = composed("evaluate", "task=growth_fits", *overrides)
    return open_job(cfg)[1].mark


@pytest.mark.parametrize(("override", "part"), [
    ("task.count=3", ["task"]), ("seed=1", ["task"]), ("sampler.nl=300", []),
    ("data.phantom.seed=9", ["data"]), ("sampler.batch_size=3", []), ("logger=wandb", []),
])
def test_what_a_row_depends_on_counts(composed: Compose, override: str, part: list[str]) -> None:
    assert changed_parts(mark_of(composed), mark_of(composed, override)) == part


def test_a_file_counts_by_its_content(composed: Compose, sizes: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(sizes.read_bytes())
    one, two = (mark_of(composed, f"task.series={path}") for path in (sizes, copy))
    assert one == two
    copy.write_text(copy.read_text() + "\n")
    assert changed_parts(one, mark_of(composed, f"task.series={copy}")) == ["task"]


def test_a_finished_job_is_skipped_by_default(composed: Compose, tmp_path: Path) -> None:
    cfg = composed("evaluate")
    write_row(tmp_path / "run", {FINGERPRINT: "task=1", "n": 3})
    assert finished_before(cfg, "task=1") == {FINGERPRINT: "task=1", "n": 3}
    cfg.rerun = True
    assert finished_before(cfg, "task=1") is None
    assert not (tmp_path / "run" / "row.json").exists()
