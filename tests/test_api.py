"""The public interface: ten lines from files to a page, in any voxel grid."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import mechlearn as ml
from mechlearn.evaluation.forecast_day import day_of
from mechlearn.evaluation.volume_forecast import forecast_volume
from mechlearn.records import Visit

SHAPE = (40, 36, 12)
TILT = 0.2  # radians: an oblique acquisition


def affine_of(codes: str) -> np.ndarray:
    """1 x 1 x 5 mm voxels in the named orientation."""
    if codes == "oblique":
        c, s = np.cos(TILT), np.sin(TILT)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag([1.0, 1.0, 5.0])
        affine[:3, 3] = (-20, -18, -30)
        return affine
    signs = [-1.0 if code in "LPI" else 1.0 for code in codes]
    return np.diag([signs[0], signs[1], 5 * signs[2], 1.0])


def write_visit(folder: Path, affine: np.ndarray, radius: float, name: str) -> dict[str, str]:
    """A brain with one tumour off the centre; the manifest's cells."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    centre = np.array(SHAPE)[:, None, None, None] / 2
    sides = np.array([1.0, 1.0, 5.0])[:, None, None, None]
    brain = (((grid - centre) * sides) ** 2).sum(0) < 15**2 * 2
    at = centre + np.array([4, 3, 0])[:, None, None, None]
    tumour = ((((grid - at) * sides) ** 2).sum(0) < radius**2) & brain
    rng = np.random.default_rng(0)
    cells = {}
    for k, key in enumerate(("t1n", "t1c", "t2w", "t2f")):
        image = np.where(brain, 400 + 100 * k + 40 * rng.random(SHAPE), 0)
        image = np.where(tumour, image * 1.4, image)
        path = folder / f"{name}_{key}.nii.gz"
        nib.save(nib.Nifti1Image(image.astype(np.int16), affine), path)
        cells[key] = path.name
    seg = folder / f"{name}_seg.nii.gz"
    nib.save(nib.Nifti1Image((tumour * 2).astype(np.uint8), affine), seg)
    return cells | {"seg": seg.name}


def write_manifest(folder: Path, codes: str) -> Path:
    rows = ["patient,session,day,t1n,t1c,t2w,t2f,seg,label_scheme,rt_start_day"]
    for day, radius in ((0, 5.0), (60, 7.0)):
        cells = write_visit(folder, affine_of(codes), radius, f"d{day}")
        rows.append(f"P01,d{day},{day},{','.join(cells.values())},brats2023,14")
    path = folder / "visits.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAI", "oblique"])
def test_the_ten_lines_keep_the_patients_own_space(tmp_path: Path, codes: str) -> None:
    patient = ml.Patient.from_csv(write_manifest(tmp_path, codes), "P01")
    result = ml.forecast(patient, day=120)
    low, high = result.size.interval(0.95)
    assert low < result.size.median < high
    path = result.growth_map.to_nifti(tmp_path / "out" / "growth.nii.gz")
    written, scan = nib.load(path), nib.load(tmp_path / "d60_t2f.nii.gz")
    assert written.shape == scan.shape
    np.testing.assert_allclose(written.affine, scan.affine, atol=1e-6)
    probability, brain = np.asarray(written.dataobj), np.asarray(scan.dataobj) > 0
    assert probability[~brain].max() == 0
    tumour = np.asarray(nib.load(tmp_path / "d60_seg.nii.gz").dataobj) > 0
    assert probability[tumour].mean() > 0.5 > probability[brain & ~tumour].mean()
    page = result.report(tmp_path / "forecast.html").read_text()
    assert "What the forecast says" in page
    assert "default-src 'none'" in page  # the browser is told to fetch nothing
    assert set(re.findall(r'(?:src|href)="([a-z]+):', page.split("<script>")[0])) == {"data"}


def write_bids(folder: Path) -> Path:
    """The same two visits as a BIDS folder, with ages of the sessions in days."""
    root, names = folder / "bids", ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")
    days = ["session_id\tday"]
    for day, radius in ((0, 5.0), (60, 7.0)):
        cells = write_visit(folder, affine_of("LPS"), radius, f"d{day}")
        anat = Path("sub-P01", f"ses-d{day}", "anat")
        targets = [root / anat, root / "derivatives" / "tumour" / anat]
        for target in targets:
            target.mkdir(parents=True)
        stem = f"sub-P01_ses-d{day}"
        for cell, suffix in zip(cells.values(), (*names, "dseg"), strict=True):
            target = targets[suffix == "dseg"] / f"{stem}_{suffix}.nii.gz"
            (folder / cell).rename(target)
        days.append(f"ses-d{day}\t{day}")
    (root / "sub-P01" / "sub-P01_sessions.tsv").write_text("\n".join(days) + "\n")
    return root


def test_a_bids_folder_is_the_patient_of_its_table(tmp_path: Path) -> None:
    expected = ml.forecast(write_manifest(tmp_path, "LPS"), 120)
    patient = ml.Patient.from_bids(write_bids(tmp_path), "P01", label_scheme="brats2023")
    assert (patient.name, [v.day for v in patient.visits]) == ("sub-P01", [0.0, 60.0])
    found = ml.forecast(patient, 120)
    assert [v.size for v in found.series.visits] == [v.size for v in expected.series.visits]
    assert found.growth_map.probability.shape == expected.growth_map.probability.shape


def test_examples_forecast_a_patient_and_score_the_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = write_manifest(tmp_path, "LPS"), tmp_path / "out"
    run_example("forecast_patient", str(table), "P01", "+60", str(out))
    assert " ml (95%: " in capsys.readouterr().out
    assert {"growth.nii.gz", "forecast.html"} <= {p.name for p in out.iterdir()}
    run_example("score_a_map", str(out / "growth.nii.gz"), str(tmp_path / "d60_seg.nii.gz"),
                str(tmp_path / "d0_seg.nii.gz"))  # fmt: skip
    assert "Dice 0." in capsys.readouterr().out


@pytest.mark.slow
def test_example_compares_growth_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = [f"P{p},whole,{50 * k},{9000 * (1.1 + 0.05 * p) ** k * rng.uniform(0.95, 1.05):.0f}"
            for p in range(10) for k in range(4)]  # fmt: skip
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("\n".join(["patient,slice,day,volume_mm3", *rows]) + "\n")
    run_example("compare_growth_models", str(sizes), "learned", "cohort_ratio", "exponential")
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("learned", "cohort_ratio", "exponential"))


def run_example(name: str, *words: str) -> None:
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    runpy.run_path(str(path))["main"](*words)


def test_a_certain_order_gives_the_mean_of_the_masks_of_all_sizes(tmp_path: Path) -> None:
    result = ml.forecast(write_manifest(tmp_path, "LPS"), 100)
    arrival = result.details.arrival
    assert arrival is not None
    masks = [arrival.mask(size) for size in result.size.samples]
    certain = replace(arrival, spread=None).growth_map(result.size)
    np.testing.assert_allclose(certain.probability, np.mean(masks, 0), atol=1e-6)
    widened = arrival.growth_map(result.size).probability
    np.testing.assert_allclose(result.growth_map.probability, widened, atol=1e-6)


def test_sizes_alone_are_forecast_and_the_map_says_what_is_missing() -> None:
    visits = [Visit(f"v{d}", d, volumes_mm3={"whole": 900.0 + d}) for d in (0.0, 40.0)]
    result = ml.forecast(ml.Patient.from_visits("P", visits), "+30")
    assert result.size.day == 70
    assert "no growth map" in result.warnings[0]
    with pytest.raises(ValueError, match="only sizes were forecast"):
        _ = result.growth_map


def test_a_day_before_the_first_visit_is_refused() -> None:
    patient = ml.Patient.from_visits("P", [Visit("a", 10.0, volumes_mm3={"whole": 9.0})])
    with pytest.raises(ValueError, match="no visit before day 5"):
        ml.forecast(patient, 5)


@pytest.mark.parametrize("day", ["soon", "nan", "1e300", float("nan"), 20210105])
def test_a_day_that_is_none_is_refused(day: float | str) -> None:
    with pytest.raises(ValueError, match="day.*must be days since the first visit"):
        day_of(day, 0.0, "P")


def test_a_last_visit_without_tumour_is_refused(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, "RAS")
    seg = nib.load(tmp_path / "d60_seg.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), seg.affine), tmp_path / "d60_seg.nii.gz")
    with pytest.raises(ValueError, match="has no tumour"):
        forecast_volume(ml.Patient.from_csv(path), 120.0)


def test_forecast_stays_a_function_beside_the_command_of_its_name() -> None:
    command = importlib.import_module("mechlearn.forecast")
    assert command.__name__ == "mechlearn.forecast"
    assert ml.forecast is importlib.import_module("mechlearn.api").forecast


def test_samplers_are_named_as_the_recipes_name_them() -> None:
    with pytest.raises(ValueError, match="sampler='quick': must be one of paper, fast, labels"):
        ml.load_pretrained(sampler="quick")
    assert ml.load_pretrained(sampler="labels").sampler.spec.steps == 10


HEAVY = ("torch", "pytorch_lightning", "monai", "matplotlib", "nibabel", "lmfit")


def loaded(statement: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import mechlearn", set()),
        ("import mechlearn.growth", {"lmfit"}),
        ("import mechlearn.records", set()),
        ("import mechlearn.config.schema", set()),
        ("import mechlearn as ml; ml.Patient", {"nibabel"}),
    ],
)
def test_imports_load_nothing_before_it_is_needed(statement: str, allowed: set[str]) -> None:
    assert loaded(statement) <= allowed


@pytest.mark.parametrize("name", ["prepare", "train", "evaluate", "forecast", "export"])
@pytest.mark.parametrize("word", ["'--help'", "'--cfg', 'job'"])
def test_help_and_configuration_load_nothing_heavy(name: str, word: str) -> None:
    words = f"import sys; sys.argv = ['x', {word}]"
    if name == "export" and "cfg" in word:
        words += "; sys.argv.append('out=x')"
    run = f"{words}\nfrom mechlearn.{name} import main\ntry: main()\nexcept SystemExit: pass"
    assert loaded(run) == set()


@pytest.mark.slow
def test_drawn_scans_lie_on_the_patients_grid_and_keep_the_rest(tmp_path: Path) -> None:
    result = ml.forecast(write_manifest(tmp_path, "LPS"), 120)
    drawn = result.draw(count=1, quantiles=(0.9,), seed=0)
    (z,) = drawn.drawn
    paths = drawn.write(tmp_path / "scans")
    assert {p.name for p in paths} == {f"forecast_q90-{c}.nii.gz" for c in
                                       ("t1n", "t1c", "t2w", "t2f")}  # fmt: skip
    before, after = (
        np.asarray(nib.load(p).dataobj).astype(int)
        for p in (tmp_path / "d60_t2f.nii.gz", tmp_path / "scans" / "forecast_q90-t2f.nii.gz")
    )
    other = [k for k in range(SHAPE[2]) if k != z]
    np.testing.assert_array_equal(before[..., other], after[..., other])
    assert (before[..., z] != after[..., z]).any()
    page = result.report(tmp_path / "page.html", drawn=drawn).read_text()
    assert "What it may look like" in page
