"""From a tree of a public data set, of real if tiny images, to prepared slices."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.config.stores import data_config as to_data
from mechlearn.config.stores import found_manifest, make_store, source_records, store_root
from mechlearn.data.manifest import read_manifest, write_manifest
from mechlearn.data.store import SliceStore

SHAPE = (40, 48, 10)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SMALL = ("data.prepare.size=48", "data.prepare.min_brain_mm2=50", "data.workers=1")
SPLITS = ("data.splits.val=0", "data.splits.test=0")


def save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.float32), LPS), path)


def brain_and_labels(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A ball of oedema (3) with necrosis (2) and a rim of enhancement (1) between."""
    axes = (np.arange(n) - (n - 1) / 2 for n in SHAPE)
    x, y, z = np.meshgrid(*axes, indexing="ij")
    brain = (x / 18) ** 2 + (y / 22) ** 2 + (z / 5) ** 2 < 1
    r = np.sqrt((x - 4) ** 2 + y**2 + z**2) / radius
    labels = np.select([r < 0.4, r < 0.7, r < 1], [2, 1, 3]) * brain
    return brain, labels


def lumiere(root: Path, week: str, radius: float) -> None:
    home = root / "Imaging" / "Patient-001" / week / "DeepBraTumIA-segmentation" / "atlas"
    brain, labels = brain_and_labels(radius)
    rng = np.random.default_rng(0)
    for name in ("t1", "ct1", "t2", "flair"):
        image = brain * (100 + 50 * (labels > 0) + rng.normal(0, 5, SHAPE))
        save(image, home / "skull_strip" / f"{name}_skull_strip.nii.gz")
    save(labels, home / "segmentation" / "seg_mask.nii.gz")
    names = ("Enhancing_Core", "Necrotic_NonEnhancing", "Edema_Compartment")
    volumes = {n: float((labels == k).sum()) for k, n in enumerate(names, start=1)}
    (home / "segmentation" / "measured_volumes_in_mm3.json").write_text(json.dumps(volumes))


def cfb(root: Path, table) -> None:
    """T1c with the skull in it, a target volume of 0 and 255, a brain mask."""
    brain, labels = brain_and_labels(6.0)
    rng = np.random.default_rng(0)
    for time in ("t0", "t1"):
        home = root / "data" / "007" / time
        save(300 + 50 * (labels > 0) + rng.normal(0, 5, SHAPE), home / f"7_{time}_t1gd.nii.gz")
        save((labels > 0) * 255, home / f"7_{time}_gtv.nii.gz")
        save(brain, home / f"7_{time}_brain_mask.nii.gz")
    table(
        root / "CFB-GBM_mri_availability_v03.tsv",
        [("id_patient", "temporality", "time_diff_t0 (weeks)"), (7, "t0", 0), (7, "t1", 16)],
    )
    table(root / "CFB-GBM_treatment_data_v03.tsv",
          [("id_patient", "delay_t0_to_radiotherapy (weeks)", "dose (Gy)", "fractions_number"),
           (7, 3, 60, 30)])  # fmt: skip


@pytest.fixture
def lumiere_root(tmp_path: Path) -> Path:
    for week, radius in (("week-010", 7.0), ("week-000-1", 4.0)):
        lumiere(tmp_path / "LUMIERE", week, radius)
    return tmp_path / "LUMIERE"


def test_lumiere_is_prepared_by_its_recipe(lumiere_root, composed):
    store = make_store(
        composed("prepare", "data=lumiere", f"data.root={lumiere_root}", *SMALL, *SPLITS)
    )
    line = store.timeline("LUMIERE-Patient-001", 5)
    assert [visit.day for visit in line.visits] == [0, 70]
    assert line.visits[1].size > 2 * line.visits[0].size


def test_what_was_found_is_listed_beside_the_store(lumiere_root, composed):
    cfg = composed("prepare", "data=lumiere", f"data.root={lumiere_root}", *SMALL, *SPLITS)
    make_store(cfg)
    path = found_manifest(store_root(cfg))
    assert path.name == "lumiere.manifest.csv"
    assert read_manifest(path) == source_records(to_data(cfg), None)


def test_wrong_volumes_stop_prepare_and_name_the_session(lumiere_root, composed):
    path = next(lumiere_root.rglob("week-010/**/measured_volumes_in_mm3.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "Enhancing_Core": 9.0}))
    cfg = composed("prepare", "data=lumiere", f"data.root={lumiere_root}", *SMALL, *SPLITS)
    with pytest.raises(ValueError, match="LUMIERE-Patient-001/week-010: .*says Enhancing_Core 9"):
        make_store(cfg)


def test_incomplete_sessions_are_skipped_with_a_word_where_that_was_asked(
    lumiere_root, composed, caplog
):
    next(lumiere_root.rglob("week-010/**/seg_mask.nii.gz")).unlink()
    cfg = composed(
        "prepare",
        "data=lumiere",
        f"data.root={lumiere_root}",
        "data.skip_bad=true",
        *SMALL,
        *SPLITS,
    )
    store = make_store(cfg)
    assert [v.session for v in store.visits("LUMIERE-Patient-001")] == ["week-000-1"]
    assert "left out: " in caplog.text
    assert "week-010" in caplog.text


@pytest.fixture
def cfb_store(tmp_path: Path, composed, table) -> SliceStore:
    cfb(tmp_path / "CFB", table)
    return make_store(
        composed("prepare", "data=cfb_gbm", f"data.root={tmp_path / 'CFB'}", *SMALL, *SPLITS)
    )


def test_skull_is_background_inside_cfb_gbm(cfb_store):
    visit = cfb_store.visits("CFB-GBM-007")[0]
    brain, _ = brain_and_labels(6.0)
    assert sum(visit.brain_px) == brain[..., list(visit.zs)].sum()


def test_radiotherapy_reaches_the_timeline(cfb_store):
    line = cfb_store.timeline("CFB-GBM-007", 5)
    (course,) = line.courses
    assert (course.start_day, course.dose_gy, course.fractions) == (21, 60, 30)


def test_found_records_survive_the_manifest(tmp_path, composed, table):
    cfb(tmp_path / "CFB", table)
    cfg = composed("prepare", "data=cfb_gbm", f"data.root={tmp_path / 'CFB'}")
    records = source_records(to_data(cfg), None)
    assert read_manifest(write_manifest(records, tmp_path / "visits.csv")) == records
