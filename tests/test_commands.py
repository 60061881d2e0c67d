"""The commands from end to end on a tiny cohort with tiny networks."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from mechlearn.records import CONTRASTS

pytestmark = pytest.mark.slow
Command = Callable[..., tuple[int, str]]
GRID = ["data.prepare.size=32", "data.prepare.pixel_mm=2.0", "data.prepare.min_brain_mm2=500"]
TINY = [
    "model.network.channels=[8,16]", "model.network.attention_levels=[false,true]",
    "+model.network.norm_num_groups=4", "model.network.stem=1", "model.warmup_steps=0",
]  # fmt: skip
SHORT = ["trainer.max_steps=4", "trainer.val_check_interval=2", "data.loader.val_slices=4",
         "trainer.accelerator=cpu", "trainer.enable_progress_bar=false", "data.loader.batch_size=2",
         "data.loader.num_workers=0", "callbacks=bare"]  # fmt: skip


@pytest.fixture(scope="module")
def workshop(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prepared slices and a trained pair: ddpm.pt, segmenter.pt."""
    root = tmp_path_factory.mktemp("workshop")
    data = ["data=manifest", f"data.manifest={manifest}", "data.name=tiny", *GRID]
    in_process(root, "prepare", *data)
    for kind in ("ddpm", "segmenter"):
        folder = root / "train" / kind
        in_process(root, "train", *data, f"model={kind}_demo", *TINY, *SHORT,
                   f"hydra.run.dir={folder}")  # fmt: skip
        (folder / "model.pt").rename(root / f"{kind}.pt")
    return root


def in_process(root: Path, name: str, *overrides: str) -> None:
    """Run a command to its end; it must succeed."""
    line = [sys.executable, "-m", f"mechlearn.{name}", *overrides]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def pair(workshop: Path, manifest: Path) -> list[str]:
    """Overrides that point an evaluation to the tiny store and the tiny pair."""
    return [
        "data=manifest", f"data.manifest={manifest}", "data.name=tiny", *GRID,
        f"paths.stores={workshop}/outputs/stores", "sampler=fast",
        f"checkpoints.denoiser={workshop}/ddpm.pt", f"checkpoints.guide={workshop}/segmenter.pt",
        "sampler.nl=20", "sampler.steps=2", "accelerator=cpu", "growth.n_bootstrap=6",
    ]  # fmt: skip


def row_of(folder: Path) -> dict:
    return json.loads((folder / "row.json").read_text())


def test_training_leaves_weights_metrics_and_a_row(workshop: Path) -> None:
    folder = workshop / "train" / "ddpm"
    assert row_of(folder)["steps"] == 4
    assert (folder / "csv" / "metrics.csv").is_file()
    card = torch.load(workshop / "ddpm.pt", weights_only=True)["mechlearn"]
    assert (card["kind"], card["data"]["size"], card["schedule"]["levels"]) == ("ddpm", 32, 1000)


def store_of(workshop: Path, manifest: Path) -> list[str]:
    """Overrides that point a training run to the tiny store."""
    return ["data=manifest", f"data.manifest={manifest}", "data.name=tiny", *GRID,
            f"paths.stores={workshop}/outputs/stores"]  # fmt: skip


def trace_of(folder: Path) -> dict[tuple[int, str], float]:
    """What a run logged but its speed: (step, key) -> value."""
    with (folder / "csv" / "metrics.csv").open() as file:
        return {
            (int(row["step"]), key): float(value)
            for row in csv.DictReader(file)
            for key, value in row.items()
            if value and key not in ("step", "epoch") and not key.startswith("throughput/")
        }


def test_killed_training_resumes_as_if_it_had_not_been_killed(
    workshop: Path, manifest: Path, tmp_path: Path
) -> None:
    words = [*store_of(workshop, manifest), "model=ddpm_demo", *TINY, *SHORT,
             "trainer.log_every_n_steps=1", "trainer.max_steps=30", "data.loader.num_workers=1",
             "trainer.val_check_interval=10"]  # fmt: skip
    in_process(tmp_path, "train", *words, "hydra.run.dir=whole")
    words += ["resume=auto", "name=again", "callbacks.last.every_n_steps=1"]
    line = [sys.executable, "-m", "mechlearn.train", *words]
    process = subprocess.Popen(line, cwd=tmp_path, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    saved = tmp_path / "outputs" / "train" / "again"
    while not list(saved.glob("*/checkpoints/last.ckpt")) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    in_process(tmp_path, "train", *words, f"hydra.run.dir={saved}/second")
    whole, rest = trace_of(tmp_path / "whole"), trace_of(saved / "second")
    assert max(whole) == max(rest)
    assert rest == {k: whole[k] for k in rest}
    models = [torch.load(f / "model.pt", weights_only=True)["state_dict"]
              for f in (tmp_path / "whole", saved / "second")]  # fmt: skip
    assert all(torch.equal(models[0][k], models[1][k]) for k in models[0])


def test_two_processes_train_what_one_trains_with_twice_the_batch(
    workshop: Path, manifest: Path, tmp_path: Path
) -> None:
    words = [*store_of(workshop, manifest), "model=segmenter_demo", *TINY, *SHORT,
             "trainer.log_every_n_steps=1"]  # fmt: skip
    in_process(tmp_path, "train", *words, "trainer=ddp", "hydra.run.dir=two")
    in_process(tmp_path, "train", *words, "data.loader.batch_size=4", "hydra.run.dir=one")
    row = row_of(tmp_path / "two")
    assert (row["steps"], row["n_processes"]) == (4, 2)
    assert not (tmp_path / "outputs").exists()  # the second process made no folder of its own
    assert trace_of(tmp_path / "two") == pytest.approx(trace_of(tmp_path / "one"), rel=1e-5)


def test_a_pair_of_one_contrast_is_trained_and_evaluated_on_the_same_store(
    workshop: Path, manifest: Path, pair: list[str], command: Command, tmp_path: Path
) -> None:
    for kind in ("ddpm", "segmenter"):
        in_process(tmp_path, "train", *store_of(workshop, manifest), f"model={kind}_demo", *TINY,
                   *SHORT, "data.contrasts=[t2f]", f"hydra.run.dir={tmp_path}/{kind}")  # fmt: skip
    status, err = command(
        "evaluate", "task=grid", *pair, "task.count=1", "task.slices=1",
        f"checkpoints.denoiser={tmp_path}/ddpm/model.pt",
        f"checkpoints.guide={tmp_path}/segmenter/model.pt", f"hydra.run.dir={tmp_path}/job",
    )  # fmt: skip
    assert status == 0, err
    assert row_of(tmp_path / "job")["job"] == "grid"


@pytest.mark.parametrize("task", ["grid", "longitudinal", "sizes"])
def test_task_leaves_one_row(command: Command, pair: list[str], tmp_path: Path, task: str) -> None:
    status, err = command(
        "evaluate", f"task={task}", *pair, "task.count=2", "task.slices=3",
        "task.min_growth=null", "task.maps.nodes=2", f"hydra.run.dir={tmp_path}/job",
    )  # fmt: skip
    assert status == 0, err
    row = row_of(tmp_path / "job")
    assert (row["job"], row["scale"], row["noise_level"]) == (task, 50_000.0, 20)
    page = (tmp_path / "job" / "leaderboard.html").read_text()
    assert ("Growth maps against the held-out visit" in page) is (task == "longitudinal")
    assert (tmp_path / "job" / "forecast_scores.png").is_file() is (task == "longitudinal")


def test_sweep_with_one_failing_job(command: Command, pair: list[str], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    status, err = command(
        "evaluate", "-m", "task=grid", *pair, "task.count=1", "task.slices=1",
        "sampler.nl=10,20,0", "sampler.scale=10k,50k", f"hydra.sweep.dir={sweep}",
    )  # fmt: skip
    assert status == 1
    assert "sampler.nl=0" in err
    assert len(list(sweep.glob("*/row.json"))) == 4
    assert main_of_collect(sweep) == 1
    with (sweep / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(r["noise_level"], float(r["scale"])) for r in rows} == {
        (nl, scale) for nl in ("10", "20") for scale in (1e4, 5e4)
    }
    assert (sweep / "grid.png").is_file()


def test_jobs_run_side_by_side(workshop: Path, pair: list[str], tmp_path: Path) -> None:
    in_process(tmp_path, "evaluate", "-m", "task=sizes", *pair, "task.count=1", "task.slices=1",
               "launcher=joblib", "seed=1,2", "hydra.sweep.dir=sweep")  # fmt: skip
    assert len(list((tmp_path / "sweep").glob("*/row.json"))) == 2


def rows_at(sweep: Path) -> dict[str, int]:
    """Folder of a cell -> when its row was written, nanoseconds."""
    return {p.parent.name: p.stat().st_mtime_ns for p in sweep.glob("*/row.json")}


def test_stopped_sweep_goes_on_with_the_cells_that_were_not_finished(
    pair: list[str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mechlearn.config import evaluating

    run, calls = evaluating.run, []

    def stopped(evaluation: Any, job: Any, **given: Any) -> Any:
        calls.append(job.sampler.spec.nl)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(evaluation, job, **given)

    monkeypatch.setattr(evaluating, "run", stopped)
    words = ["evaluate", "-m", "task=grid", *pair, "task.count=1", "task.slices=1",
             "sampler.scale=10k,50k", "hydra.sweep.dir=sweep"]  # fmt: skip
    assert command(*words, "sampler.nl=20,30")[0] == 130  # stopped by Ctrl-C
    before = rows_at(tmp_path / "sweep")
    assert len(before) == 2
    assert command(*words, "sampler.nl=20,30,40")[0] == 0
    after = rows_at(tmp_path / "sweep")
    assert len(after) == 6
    assert {name: after[name] for name in before} == before
    assert len(calls) == 3 + 4


def test_a_changed_setting_runs_again(
    pair: list[str], command: Command, tmp_path: Path
) -> None:
    words = ["task=grid", *pair, "task.count=1", "task.slices=1", "hydra.run.dir=job"]
    rows = []
    for extra in ([], [], ["sampler.steps=3"], ["sampler.steps=3", "rerun=true"]):
        assert command("evaluate", *words, *extra)[0] == 0
        row = row_of(tmp_path / "job")
        rows.append((row["steps"], row["seconds"]))
    assert [steps for steps, _ in rows] == [2, 2, 3, 3]
    assert rows[0] == rows[1]
    assert rows[2] != rows[3]


def main_of_collect(folder: Path) -> int:
    from mechlearn.collect import main

    return main([str(folder)])


def test_collect_names_failed_and_missing_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, nl in enumerate((100, 200, 500)):
        job = tmp_path / str(number)
        (job / ".hydra").mkdir(parents=True)
        (job / ".hydra" / "overrides.yaml").write_text(f"- sampler.nl={nl}\n")
    (tmp_path / "0" / "row.json").write_text('{"job": "sizes", "spearman": 0.9}')
    (tmp_path / "1" / "failed.json").write_text('{"error": "ValueError: no tumour"}')
    assert main_of_collect(tmp_path) == 1
    out = capsys.readouterr().out
    assert "1 rows" in out
    assert "no tumour" in out
    assert "sampler.nl=500" in out


def test_forecast_writes_nifti_pictures_and_a_page(
    command: Command, pair: list[str], manifest: Path, tmp_path: Path
) -> None:
    status, err = command(
        "forecast", f"patient={manifest}", "patient_id=p4", "count=1", "maps.nodes=2",
        *(word for word in pair if not word.startswith("data")), f"hydra.run.dir={tmp_path}/job",
    )  # fmt: skip
    assert status == 0, err
    job = tmp_path / "job"
    page = (job / "forecast.html").read_text()
    assert "Not a medical device" in page
    assert '<p class="notice" role="note">The prior of this forecast comes from phantoms' in page
    assert "growth models and their weights: " in page
    assert page.count("<details>") == 1  # the settings alone are folded
    assert "prior of this forecast comes from phantoms" in (job / "forecast.log").read_text()
    probability = nib.load(job / "growth_probability.nii.gz")
    assert probability.shape == (28, 28, 10)
    assert row_of(job)["day_follow_up"] == 120.0
    assert list(job.glob("slice_z*.png"))


def test_volume_forecast_writes_map_masks_and_page_without_models(
    command: Command, manifest: Path, tmp_path: Path
) -> None:
    status, err = command(
        "forecast", f"patient={manifest}", "patient_id=p4", "day=+30", "draw=0",
        f"hydra.run.dir={tmp_path}/job",
    )  # fmt: skip
    assert status == 0, err
    job, row = tmp_path / "job", row_of(tmp_path / "job")
    assert row["day"] == row["day_last"] + 30
    assert row["forecast_low_mm3"] < row["forecast_median_mm3"] < row["forecast_high_mm3"]
    page = (job / "forecast.html").read_text()
    assert "Not a medical device" in page
    assert "MU-Glioma-Post" in page
    probability = np.asarray(nib.load(job / "growth_probability.nii.gz").dataobj)
    mask = np.asarray(nib.load(job / "forecast_mask_p50.nii.gz").dataobj) > 0
    np.testing.assert_array_equal(mask, probability >= 0.5)
    result = json.loads((job / "result.json").read_text())
    assert result["days"][0]["volume_mm3"]["median"] == row["forecast_median_mm3"]
    assert {f["path"] for f in result["files"]} >= {"forecast.html", "growth_probability.nii.gz"}
    again = result["created"]
    words = ["forecast", f"patient={manifest}", "patient_id=p4", "draw=0"]
    assert command(*words, "day=+30", f"hydra.run.dir={job}")[0] == 0  # has ended: nothing is made
    assert json.loads((job / "result.json").read_text())["created"] == again
    assert command(*words, "day=+30,+60", "hydra.run.dir=two", "--quiet")[0] == 0
    several = json.loads((tmp_path / "two" / "result.json").read_text())
    assert [day["day"] for day in several["days"]] == [row["day_last"] + 30, row["day_last"] + 60]
    assert (tmp_path / "two" / "day150" / "growth_probability.nii.gz").is_file()


def test_a_volume_forecast_of_several_patients_names_the_key(
    command: Command, manifest: Path
) -> None:
    status, err = command("forecast", f"patient={manifest}", "day=100")
    assert status == 1
    assert "patient_id=..." in err
    assert "p1, p2, p3, p4, p5" in err


def test_forecast_without_a_population_has_identifiability_and_what_if(
    command: Command, pair: list[str], manifest: Path, tmp_path: Path
) -> None:
    treated = tmp_path / "treated.csv"
    rows = list(csv.DictReader(manifest.open()))
    with treated.open("w", newline="") as file:
        table = csv.DictWriter(file, [*rows[0]])
        table.writeheader()
        for row in rows:
            paths = {k: str(manifest.parent / row[k]) for k in (*CONTRASTS, "seg")}
            table.writerow(row | paths | {"rt_start_day": "20"})
    status, err = command(
        "forecast", f"patient={treated}", "patient_id=p4", "count=1", "maps.nodes=2",
        "growth=gompertz_rt", "what_if.rt_start_day=40",
        *(word for word in pair if not word.startswith("data")), f"hydra.run.dir={tmp_path}/job",
    )  # fmt: skip
    assert status == 0, err
    page, row = (tmp_path / "job" / "forecast.html").read_text(), row_of(tmp_path / "job")
    assert "<details>" in page
    assert "growth model gompertz_rt, 4 visit(s)" in page
    assert "What if: radiotherapy from day 40 instead of 20" in page
    assert row["what_if_low_mm2"] <= row["what_if_median_mm2"] <= row["what_if_high_mm2"]


def test_patient_has_to_be_named_among_several(
    command: Command, pair: list[str], manifest: Path
) -> None:
    words = [word for word in pair if not word.startswith("data")]
    status, err = command("forecast", f"patient={manifest}", "day=100", *words)
    assert status == 1
    assert "patient_id=null" in err
    assert "p1, p2, p3, p4, p5" in err


def test_pair_of_different_schedules_is_refused(
    command: Command, pair: list[str], workshop: Path, tmp_path: Path
) -> None:
    content = torch.load(workshop / "segmenter.pt", weights_only=True)
    content["mechlearn"]["schedule"]["kind"] = "cosine"
    torch.save(content, tmp_path / "other.pt")
    status, err = command("evaluate", *pair, f"checkpoints.guide={tmp_path}/other.pt")
    assert status == 1
    assert "schedule" in err
    assert "Traceback" not in err
