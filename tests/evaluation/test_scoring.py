from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.evaluation.scored_case import METRICS, ForecastCase, score_case
from mechlearn.evaluation.scoring import score

RAS = np.array([[1.0, 0, 0, -20], [0, 1.0, 0, -24], [0, 0, 3.0, -15], [0, 0, 0, 1]])


def save(path: Path, data: np.ndarray, affine: np.ndarray = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


def ball(radius: float, shift: float = 0.0) -> np.ndarray:
    x, y, z = np.indices((40, 48, 12))
    far = np.sqrt((x - 20 - shift) ** 2 + (y - 24) ** 2 + (3 * (z - 6)) ** 2)
    return far <= radius


def blurred() -> np.ndarray:
    x, y, z = np.indices((40, 48, 12))
    far = np.sqrt((x - 21) ** 2 + (y - 24) ** 2 + (3 * (z - 6)) ** 2)
    return (1 / (1 + np.exp(far - 10))).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "last.nii.gz", ball(6).astype(np.uint8) * 2)
    save(tmp_path / "truth.nii.gz", ball(10, 2).astype(np.uint8) * 2)
    save(tmp_path / "pred.nii.gz", blurred())
    save(tmp_path / "brain.nii.gz", ball(18).astype(np.uint8))
    return tmp_path


def run(folder: Path, pred: str = "pred.nii.gz") -> list[dict]:  # type: ignore[type-arg]
    found = score(folder / pred, truth=folder / "truth.nii.gz", last=folder / "last.nii.gz",
                  brain=folder / "brain.nii.gz")  # fmt: skip
    return [{k: v for k, v in row.items() if k != "patient"} for row in found.rows]


def oriented(data: np.ndarray, codes: str) -> tuple[np.ndarray, np.ndarray]:
    image = nib.Nifti1Image(data, RAS)
    change = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(RAS), nib.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(change)
    return np.asarray(turned.dataobj), turned.affine


@pytest.mark.parametrize("codes", ["LPS", "ASL", "PIR"])
def test_orientation_of_a_file_does_not_matter(folder: Path, codes: str) -> None:
    expected = run(folder)
    save(folder / "turned.nii.gz", *oriented(blurred(), codes))
    found = run(folder, "turned.nii.gz")
    for row, other in zip(expected, found, strict=True):
        assert row["method"] == other["method"]
        for metric in METRICS:
            assert row[metric] == pytest.approx(other[metric], abs=1e-6)


def test_files_give_the_scores_of_the_arrays(folder: Path) -> None:
    """What a file of another program scores is what our own arrays score."""

    def axes(a: np.ndarray) -> np.ndarray:
        return a.transpose(2, 1, 0)[:, ::-1, ::-1]

    case = ForecastCase("pred", axes(ball(6)), axes(ball(10, 2)), axes(ball(18)),
                        np.zeros((12, 48, 40), bool), (3.0, 1.0, 1.0),
                        prediction=axes(blurred()))  # fmt: skip
    expected = [{k: v for k, v in row.items() if k != "patient"} for row in score_case(case)]
    for row, other in zip(expected, run(folder), strict=True):
        assert row["method"] == other["method"]
        for metric in METRICS:
            assert row[metric] == pytest.approx(other[metric], abs=1e-5)


def test_binary_prediction_is_its_mask(folder: Path) -> None:
    save(folder / "mask.nii.gz", (blurred() >= 0.5).astype(np.int16) * 3)
    mask = run(folder, "mask.nii.gz")
    probability = run(folder)
    assert mask[1]["dice"] == probability[1]["dice"]
    assert mask[1]["hd95_mm"] == probability[1]["hd95_mm"]


def test_the_truth_scores_perfectly(folder: Path) -> None:
    rows = run(folder, "truth.nii.gz")
    own = next(r for r in rows if (r["method"], r["size"]) == ("prediction", "own"))
    assert own["dice"] == own["continuous_dice"] == own["surface_dice_2mm"] == 1.0
    assert own["hd95_mm"] == own["brier"] == own["ece"] == 0.0


def test_baselines_have_the_size_that_is_asked(folder: Path) -> None:
    rows = run(folder)
    true = ball(10, 2).sum() * 3.0
    for row in rows:
        if row["size"] == "true":
            assert row["volume"] == pytest.approx(true, abs=3.0), row["method"]


def test_another_space_is_refused_with_the_remedy(folder: Path) -> None:
    moved = RAS.copy()
    moved[0, 3] += 5
    save(folder / "moved.nii.gz", blurred(), moved)
    with pytest.raises(ValueError, match="5.0 mm away.*Resample it"):
        run(folder, "moved.nii.gz")


def test_a_map_that_is_no_probability_is_refused(folder: Path) -> None:
    save(folder / "percent.nii.gz", blurred() * 100)
    with pytest.raises(ValueError, match="probabilities must lie in 0 to 1"):
        run(folder, "percent.nii.gz")


def test_a_table_and_a_container_folder_score_alike(folder: Path) -> None:
    for name in ("00001", "00002"):
        save(folder / "out" / f"{name}.nii.gz", blurred())
        save(folder / "in" / name / "t.nii.gz", ball(10, 2).astype(np.uint8))
        save(folder / "in" / name / "l.nii.gz", ball(6).astype(np.uint8))
    lines = ["patient,pred,truth,last"] + [
        f"{n},out/{n}.nii.gz,in/{n}/t.nii.gz,in/{n}/l.nii.gz" for n in ("00001", "00002")
    ]
    (folder / "many.csv").write_text("\n".join(lines))
    table = score(folder / "many.csv")
    container = score(folder / "out", truth=folder / "in/{patient}/t.nii.gz",
                      last=folder / "in/{patient}/l.nii.gz")  # fmt: skip
    assert table.rows == container.rows
    assert table.patients == ("00001", "00002")
    assert table.table()[0]["n"] == 2
    written = table.write(folder / "scores")
    assert written["csv"].read_text().count("\n") == len(table.rows) + 1


def test_a_cavity_is_neither_tumour_nor_grown_into(folder: Path) -> None:
    labels = ball(6).astype(np.uint8) * 2
    labels[26:30, 20:28] = 4
    save(folder / "last.nii.gz", labels)
    found = score(folder / "pred.nii.gz", truth=folder / "truth.nii.gz",
                  last=folder / "last.nii.gz", cavity=4)  # fmt: skip
    row = next(r for r in found.rows if r["method"] == "no_change")
    assert row["volume"] == (labels == 2).sum() * 3.0
