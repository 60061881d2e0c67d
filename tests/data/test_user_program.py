"""A program of the user makes brain masks and segmentations, and its output is checked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.manifest import read_manifest
from mechlearn.data.user_program import run_on_table

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])  # voxels of .064 ml
SHAPE = (48, 48, 40)
STRIP = """
import sys
import nibabel as nib
import numpy as np
_, source, target, how = sys.argv
target = target.removeprefix("--out=")
image = nib.load(source)
values = np.asarray(image.dataobj)
made = {
    "image": np.where(values > 150, values, 0), "empty": values * 0,
    "crumbs": np.random.default_rng(0).random(values.shape) < 0.3,
    "turned": (values > 150)[:, :, :-1], "labels": np.where(values > 800, 3, 0),
    "other label": np.where(values > 800, 4, 0), "all tumour": np.where(values > 50, 3, 0),
}
if how == "fails":
    sys.exit("no weights found")
if how != "silent":
    nib.save(nib.Nifti1Image(made[how].astype(np.float32), image.affine), target)
"""


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A table with one visit: a head of 100, a brain of 400 with a tumour of 900 and a hole."""
    x, y, z = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    r = np.sqrt(x**2 + y**2 + z**2)
    scan = np.select([r < 16, r < 19], [400.0, 100.0])
    scan[30:33, 24:27, 20:23] = 900
    scan[14:16, 24:26, 20:22] = 0
    for contrast in ("t1c", "t2f"):
        nib.save(nib.Nifti1Image(scan.astype(np.float32), AFFINE), tmp_path / f"{contrast}.nii.gz")
    (tmp_path / "strip.py").write_text(STRIP)
    table = tmp_path / "visits.csv"
    table.write_text("patient,session,day,t1c,t2f\nP,v1,0,t1c.nii.gz,t2f.nii.gz\n")
    return table


@pytest.fixture
def ran(head: Path) -> Callable[..., Path]:
    """ran(how, makes) -> the new table."""

    def run(how: str, makes: str = "brain_mask", table: Path = head, image: str = "INPUT") -> Path:
        command = f"{sys.executable} '{head.parent / 'strip.py'}' {image} --out=OUTPUT '{how}'"
        return run_on_table(table, head.parent / makes, command, makes=makes,
                            label_scheme="brats2023" if makes == "seg" else None)  # fmt: skip

    return run


def test_a_stripped_image_gives_a_mask_and_then_a_segmentation(ran: Callable[..., Path]) -> None:
    """The segmenter sees the brain alone; the last table is a manifest."""
    masked = ran("image")
    table = ran("labels", "seg", masked, "T2F")
    (visit,) = read_manifest(table)
    assert visit.brain_mask is not None
    assert visit.seg is not None
    mask = nib.load(visit.brain_mask)
    np.testing.assert_allclose(mask.affine, AFFINE)
    scan = np.asarray(nib.load(visit.images["t1c"]).dataobj)
    inside = np.asarray(mask.dataobj) == 1
    assert (inside == (scan > 150)).sum() == scan.size - 8  # the hole is filled
    np.testing.assert_array_equal(np.asarray(nib.load(visit.seg).dataobj) == 3, scan == 900)
    assert visit.label_scheme == "brats2023"


def test_what_is_there_is_kept(ran: Callable[..., Path]) -> None:
    before = ran("image").read_text()
    assert ran("fails").read_text() == before


@pytest.mark.parametrize(
    ("how", "makes", "why"),
    [
        ("fails", "brain_mask", "status 1 and did not write OUTPUT; it said: no weights found"),
        ("silent", "brain_mask", "status 0 and did not write OUTPUT"),
        ("turned", "brain_mask", r"shape \(48, 48, 39\) or lies elsewhere"),
        ("empty", "brain_mask", "a mask of 0 ml; a brain has 300 to 2500 ml"),
        ("crumbs", "brain_mask", "in [0-9]+ pieces"),
        ("other label", "seg", r"labels \[4\]|label.* 4"),
        ("empty", "seg", r"a tumour of 0\.0 ml"),
        ("all tumour", "seg", "a tumour of .* in a brain of"),
    ],
)
def test_an_output_that_cannot_be_is_refused(
    ran: Callable[..., Path], head: Path, how: str, makes: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        ran(how, makes)
    assert not list((head.parent / makes).rglob("*.nii.gz"))


@pytest.mark.parametrize(
    ("command", "error", "why"),
    [
        ("no-such-program INPUT OUTPUT", FileNotFoundError, "no-such-program: cannot be run"),
        ("strip INPUT", ValueError, "no word OUTPUT"),
        ("strip T2W OUTPUT", ValueError, "has no t2w"),
    ],
)
def test_a_command_that_cannot_run_is_refused(
    head: Path, command: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        run_on_table(head, head.parent / "out", command, makes="brain_mask")
