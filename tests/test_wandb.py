"""Real offline W&B runs of the commands, read back from their files."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
TINY = [
    "model.network.channels=[8,16]", "model.network.attention_levels=[false,true]",
    "+model.network.norm_num_groups=4", "model.network.stem=1", "model.warmup_steps=0",
    "trainer.val_check_interval=2", "data.loader.val_slices=4", "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false", "data.loader.batch_size=2", "data.loader.num_workers=0",
    "trainer.log_every_n_steps=1", "sampler.nl=20", "sampler.steps=2",
]  # fmt: skip
WANDB = ["logger=wandb", "logger.offline=true"]
ASKED = ["logger.patient_names=true", "logger.images=true"]
FIRST_DAY = 18262.0  # of the visits: 1 January 2020, counted as many programs do
PRIVATE = ("Muster", "2020-01-01", "secret-folder", "18352.0", "18382.0", "18292.0")


def in_process(root: Path, name: str, *overrides: str) -> None:
    line = [sys.executable, "-m", f"mechlearn.{name}", *overrides]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def records(folder: Path) -> Iterator[Any]:
    """What an offline run wrote: records in the log format of LevelDB, in blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2 as pb

    (path,) = folder.glob("run-*.wandb")
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or its last piece
            record = pb.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


class Told:
    """One offline run: its identity, logged keys, and artifacts as (how, type, name, digest)."""

    def __init__(self, folder: Path) -> None:
        self.keys: set[str] = set()
        self.artifacts: list[tuple[str, str, str, str]] = []
        self.config: dict[str, Any] = {}
        for record in records(folder):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
            elif kind == "history":
                items = record.history.item
                self.keys |= {item.key or "/".join(item.nested_key) for item in items}
            elif kind == "config":
                for item in record.config.update:
                    self.config[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            elif kind == "artifact" and record.artifact.type != "run_table":
                a = record.artifact
                how = "use" if a.use_after_commit else "log"
                self.artifacts.append((how, a.type, a.name, a.digest))

    def holds(self, key: str) -> bool:
        """Whether a key, or an image or table under it, was logged."""
        return key in self.keys or any(k.startswith(f"{key}/") for k in self.keys)


def told(job: Path) -> list[Told]:
    return [Told(folder) for folder in sorted(job.glob("wandb/offline-run-*"))]


def named_manifest(manifest: Path, root: Path) -> Path:
    """The cohort with names, dates and places that must not leave the machine."""
    from mechlearn.data.manifest import read_manifest, write_manifest
    from mechlearn.data.splits import read_splits, write_splits

    folder = root / "secret-folder"
    folder.mkdir()
    records = [
        dataclasses.replace(r, patient=f"Muster-{r.patient}", session=f"2020-01-01_{r.session}",
                            day=FIRST_DAY + float(r.day or 0))
        for r in read_manifest(manifest)
    ]  # fmt: skip
    splits = read_splits(manifest.parent / "splits.json")
    write_splits({f"Muster-{k}": v for k, v in splits.items()}, folder / "splits.json")
    return write_manifest(records, folder / "visits.csv")


@pytest.fixture(scope="module")
def place(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with a pair trained under W&B in train/ddpm and train/segmenter; data overrides."""
    root = tmp_path_factory.mktemp("wandb")
    data = ["data=manifest", f"data.manifest={named_manifest(manifest, root)}", "data.name=tiny",
            "data.prepare.size=32", "data.prepare.pixel_mm=2.0",
            "data.prepare.min_brain_mm2=500"]  # fmt: skip
    in_process(root, "prepare", *data)
    for kind in ("ddpm", "segmenter"):
        in_process(root, "train", *data, f"model={kind}_demo", *TINY, *WANDB, f"name={kind}",
                   "trainer.max_steps=60", f"hydra.run.dir=train/{kind}",
                   "trainer.val_check_interval=30",
                   *(ASKED if kind == "ddpm" else []))  # fmt: skip
    return root, data


def evaluate(place: tuple[Path, list[str]], *words: str) -> Path:
    root, data = place
    in_process(
        root, "evaluate", *words, *data, *WANDB, "sampler=fast", "sampler.steps=2",
        "checkpoints.denoiser=train/ddpm/model.pt", "checkpoints.guide=train/segmenter/model.pt",
        "accelerator=cpu", "growth.n_bootstrap=6", "task.count=1", "task.slices=2",
        "task.min_growth=null", "task.maps.nodes=2",
    )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def sweep(place: tuple[Path, list[str]]) -> list[Told]:
    root = evaluate(place, "-m", "task=grid", "sampler.nl=10,20", "hydra.sweep.dir=sweep/1")
    jobs = sorted((root / "sweep" / "1").glob("*/row.json"))
    return [run for job in jobs for run in told(job.parent)]


def test_training_leaves_one_run_with_all_of_its_config(place) -> None:
    (run,) = told(place[0] / "train" / "ddpm")
    assert (run.run.display_name, run.run.job_type) == ("ddpm", "train")
    assert {"ddpm", "tiny"} <= set(run.run.tags)
    assert run.config["optimizer"]["lr"] > 0
    assert run.config["dataset"]["splits"]["train"]["patients"] == 2


def test_every_job_of_a_sweep_is_its_own_run(sweep: list[Told]) -> None:
    assert len({run.run.run_id for run in sweep}) == 2
    assert {run.run.run_group for run in sweep} == {"sweep/1"}
    names = {run.run.display_name for run in sweep}
    assert len(names) == 2
    assert all(name.startswith("grid/") for name in names)


def test_every_job_shows_a_leaderboard_without_patients_and_pictures(
    place, sweep: list[Told]
) -> None:
    for job in (place[0] / "sweep" / "1").glob("*/"):
        (run,) = told(job)
        assert run.holds("evaluation/leaderboard")
        (page,) = job.glob("wandb/offline-run-*/files/media/html/evaluation/leaderboard_*.html")
        text = page.read_text()
        assert "Noise level and regressor scale" in text
        assert "SSIM outside" in text
        assert "<img" not in text
        whole = (job / "leaderboard.html").read_text()
        assert "secret-folder" in whole  # the page that stays here has the command line
        assert [word for word in PRIVATE if word in text] == []


def sent(job: Path) -> str:
    """Records and files of a job's runs as W&B would get them, places on this disk aside."""
    out = []
    for folder in sorted(job.glob("wandb/offline-run-*")):
        for record in records(folder):
            files = [Path(entry.local_path) for entry in record.artifact.manifest.contents]
            for entry in record.artifact.manifest.contents:
                entry.local_path = ""
            out.append(str(record))
            out += [f.read_text(errors="replace") for f in files if f.suffix != ".pt"]
        out += [f.read_text(errors="replace") for f in (folder / "files").rglob("*") if f.is_file()]
    return "\n".join(out)


def test_names_dates_and_places_stay_here(place, sweep: list[Told]) -> None:
    jobs = [place[0] / "train" / "segmenter", *(place[0] / "sweep" / "1").glob("*/")]
    for job in jobs:
        found = sent(job)
        assert [word for word in PRIVATE if word in found] == []
    assert "patient 1" in found
    assert not any(run.holds("previews/panel") for run in told(jobs[0]))


def test_names_and_pictures_are_sent_where_asked_for(place) -> None:
    job = place[0] / "train" / "ddpm"
    assert "secret-folder" in sent(job)
    assert told(job)[0].holds("previews/panel")


def test_jobs_side_by_side_are_runs_of_their_own(place) -> None:
    root = evaluate(place, "-m", "task=sizes", "seed=1,2", "launcher=joblib",
                    "hydra.sweep.dir=sweep/2")  # fmt: skip
    runs = [run for job in (root / "sweep" / "2").glob("*/") for run in told(job)]
    assert len({run.run.run_id for run in runs}) == 2


def test_rows_lead_back_to_models_and_models_to_data(place, sweep: list[Told]) -> None:
    trained = {kind: told(place[0] / "train" / kind)[0] for kind in ("ddpm", "segmenter")}
    logged = [a[1:] for run in trained.values() for a in run.artifacts if a[:2] == ("log", "model")]
    data = {a[1:] for run in trained.values() for a in run.artifacts if a[:2] == ("use", "dataset")}
    assert (len(logged), len(data)) == (2, 1)
    for run in sweep:
        used = [a[1:] for a in run.artifacts if a[0] == "use"]
        assert set(used) == {*logged, *data}
        assert [a[1] for a in run.artifacts if a[0] == "log"] == ["evaluation"]
        assert run.config["denoiser"]["run"] == trained["ddpm"].run.run_id


def test_uploads_wait_in_the_runs_folder(place, sweep: list[Told]) -> None:
    """Rows, tables and data beside the run, weights where they were trained; nothing at home."""
    for job in (place[0] / "sweep" / "1").glob("*/"):
        (folder,) = job.glob("wandb/offline-run-*")
        files = {Path(entry.local_path) for record in records(folder)
                 for entry in record.artifact.manifest.contents}  # fmt: skip
        outside = {f.parent.name for f in files if not f.is_relative_to(job)}
        assert outside == {"ddpm", "segmenter"}
        assert all(f.is_file() for f in files)


def test_resumed_training_goes_on_in_its_run(place) -> None:
    root, data = place
    words = [*data, "model=segmenter_demo", *TINY, *WANDB, "name=again", "resume=auto",
             "callbacks=bare"]  # fmt: skip
    for steps in (2, 4):
        in_process(root, "train", *words, f"trainer.max_steps={steps}",
                   f"hydra.run.dir=outputs/train/again/{steps}")  # fmt: skip
    first, second = (told(root / "outputs/train/again" / str(n))[0] for n in (2, 4))
    assert first.run.run_id == second.run.run_id


def test_two_processes_are_one_run(place) -> None:
    root, data = place
    in_process(root, "train", *data, "model=segmenter_demo", *TINY, *WANDB, "trainer=ddp",
               "callbacks=bare", "trainer.max_steps=2", "hydra.run.dir=train/two")  # fmt: skip
    (run,) = told(root / "train" / "two")
    assert [a[0] for a in run.artifacts] == ["use", "log"]
    assert len(list(root.rglob("train/two/wandb/offline-run-*"))) == 1


def test_dashboard_shows_what_is_logged(place, sweep: list[Told]) -> None:
    pytest.importorskip("wandb_workspaces")
    path = HERE.parent / "experiments" / "dashboard" / "dashboard.py"
    spec = importlib.util.spec_from_file_location("dashboard", path)
    assert spec is not None
    assert spec.loader is not None
    dashboard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dashboard)
    evaluate(place, "task=longitudinal", "hydra.run.dir=sweep/long", *ASKED)
    runs: dict[str, list[Told]] = defaultdict(list)
    runs["train"] = [r for k in ("ddpm", "segmenter") for r in told(place[0] / "train" / k)]
    runs["grid"] = sweep
    runs["longitudinal"] = told(place[0] / "sweep" / "long")
    missing = {
        (kind, key) for kind, keys in dashboard.logged_keys().items() for key in keys
        if not any(run.holds(key) for run in runs[kind])
    }  # fmt: skip
    assert missing <= {("train", "throughput/gpu_memory_peak_gib")}  # where there is no GPU
    pages = (*dashboard.TABLES, dashboard.LEADERBOARD)
    assert all(any(r.holds(t) for rs in runs.values() for r in rs) for t in pages)
    definition = dashboard.as_json(dashboard.build("team", "mechlearn"))
    shown = set().union(*dashboard.logged_keys().values())
    assert not [key for key in shown if key not in definition]
