"""A brain mask or a segmentation of every visit, made by a program that the user has installed."""

from __future__ import annotations

import logging
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from mechlearn.checks import one_of
from mechlearn.data.align import REFERENCES, SAME_GRID_MM, table_of_visits
from mechlearn.data.labels import SCHEMES, to_canonical
from mechlearn.data.masks import absolute_cell
from mechlearn.data.nifti_input import open_volume
from mechlearn.data.tables import header_of, write_rows
from mechlearn.files import replacing
from mechlearn.progress import tracked
from mechlearn.records import CONTRASTS

__all__ = ["MAKES", "run_on_table"]

log = logging.getLogger(__name__)
MAKES = ("brain_mask", "seg")
BRAIN_ML = (300.0, 2500.0)  # from a young child or a partly covered head to the largest adult
ONE_PIECE = 0.9  # least share of a brain mask in its largest piece
MOST_TUMOUR = 0.35  # of the brain
LEAST_INSIDE = 0.5  # of a tumour in the brain
LAST_LINES = 3  # of a failed program that are shown


def run_on_table(
    path: str | Path, out: str | Path, command: str, *, makes: str, label_scheme: str | None = None
) -> Path:
    """Run a command on every visit of a table, check what it makes, write the table with it.

    Args:
        path: CSV, a row a visit: patient, session and a column a contrast; NIfTI, aligned.
        out: folder for PATIENT/SESSION-brain_mask.nii.gz or -seg.nii.gz and visits.csv. What is
            there already is checked and kept.
        command: runs without a shell. In it the words below (alone, or behind `=`) are replaced
            by files: INPUT by the T1 with contrast agent (or the first of the other
            contrasts that the visit has), T1N, T1C, T2W and T2F by each contrast, OUTPUT by the
            file that the program writes: a mask or a skull-stripped image, or labels.
        makes: `brain_mask` or `seg`. For `seg` the images are masked first where the table has a
            brain mask.
        label_scheme: what the labels mean, for `seg`.

    Returns:
        The new table.

    Raises:
        FileNotFoundError: no such table, image or program.
        ValueError: a program that fails, or an output on another grid, empty, in pieces, of a size
            that no brain or tumour has, or with labels that the scheme does not have.
    """
    one_of("makes", makes, MAKES)
    path, out, words = Path(path).expanduser(), Path(out).expanduser(), shlex.split(command)
    if "OUTPUT" not in map(_last, words):
        raise ValueError(f"command={command}: no word OUTPUT, so the program is not told where to "
                         "write. Add it; docs/own-data.md has examples.")  # fmt: skip
    if makes == "seg":
        one_of("label_scheme", label_scheme or "", tuple(SCHEMES))
    done = []
    for where, cells in tracked(table_of_visits(path), f"making {makes}", log=log):
        files = {c: absolute_cell(path.parent, cells[c])
                 for c in (*CONTRASTS, *MAKES) if cells.get(c) and c != makes}  # fmt: skip
        made = out / cells["patient"] / f"{cells['session']}-{makes}.nii.gz"
        kept = made.is_file()
        image = open_volume(made) if kept else _run(where, words, files)
        checked = _checked(where, image, files, label_scheme if makes == "seg" else None)
        if kept:
            log.info("%s is there already and kept", made)
        else:
            with replacing(made) as partial:
                nib.save(nib.Nifti1Image(checked, image.affine), partial)
        new = {makes: str(made.relative_to(out))}
        done.append({**cells, **files, **new, **({"label_scheme": label_scheme} if label_scheme
                                                 else {})})  # fmt: skip
    columns = dict.fromkeys([*header_of(path), *(key for row in done for key in row)])
    return write_rows(out / "visits.csv", tuple(columns), done)


def _last(word: str) -> str:
    """OUTPUT of `OUTPUT` and of `--out=OUTPUT`."""
    return word.rpartition("=")[2]


def _reference(where: str, files: Mapping[str, str]) -> Path:
    found = next((files[c] for c in REFERENCES if c in files), None)
    if found is None:
        raise ValueError(f"{where}: no image. Fill in a contrast.")
    return Path(found)


def _run(where: str, words: Sequence[str], files: Mapping[str, str]) -> nib.Nifti1Image:
    """The image that the program writes."""
    with tempfile.TemporaryDirectory() as place:
        images = {c: file for c, file in files.items() if c in CONTRASTS}
        if "brain_mask" in files:
            mask = np.asarray(open_volume(Path(files["brain_mask"])).dataobj) > 0
            for c, file in images.items():
                image = open_volume(Path(file))
                images[c] = f"{place}/{c}.nii.gz"
                nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * mask, image.affine), images[c])
        output = Path(place) / "output.nii.gz"
        named = {"OUTPUT": str(output), "INPUT": str(_reference(where, images))}
        named |= {c.upper(): file for c, file in images.items()}
        if lacking := {c.upper() for c in CONTRASTS} & set(map(_last, words)) - set(named):
            raise ValueError(f"{where}: has no {', '.join(sorted(lacking)).lower()}, which the "
                             "command names. Fill it in, or leave the word out.")  # fmt: skip
        try:
            called = [w.removesuffix(_last(w)) + named.get(_last(w), _last(w)) for w in words]
            ended = subprocess.run(called, capture_output=True, text=True, check=False)
        except OSError as error:
            raise FileNotFoundError(f"{words[0]}: cannot be run ({error.strerror}). Install it, or "
                                    "give its whole path.") from error  # fmt: skip
        if ended.returncode or not output.is_file():
            said = (ended.stdout + ended.stderr).strip().splitlines()[-LAST_LINES:]
            raise ValueError(f"{where}: {words[0]} ended with status {ended.returncode} and "
                             f"{'wrote' if output.is_file() else 'did not write'} OUTPUT; it said: "
                             f"{' / '.join(said) or 'nothing'}.")  # fmt: skip
        image = open_volume(output)
        return nib.Nifti1Image(np.asarray(image.dataobj), image.affine)


def _checked(where: str, image: nib.Nifti1Image, files: Mapping[str, str], scheme: str | None
             ) -> np.ndarray:  # fmt: skip
    """Mask (no scheme) or labels, uint8, in the axis order of the reference."""
    reference = open_volume(_reference(where, files))
    values = np.asarray(image.dataobj)
    name = "OUTPUT of the command"
    if values.shape != reference.shape or not np.allclose(
        image.affine, reference.affine, atol=SAME_GRID_MM
    ):
        raise ValueError(f"{where}: {name} has shape {values.shape} or lies elsewhere than its "
                         f"image, {reference.shape}. Let the program keep the grid.")  # fmt: skip
    ml = float(np.prod(voxel_sizes(image.affine))) / 1000
    if scheme is None:
        made = ndimage.binary_fill_holes(values != 0)
        pieces = np.bincount(ndimage.label(made)[0].ravel())[1:]
        if not BRAIN_ML[0] <= made.sum() * ml <= BRAIN_ML[1]:
            raise ValueError(f"{where}: {name} is a mask of {made.sum() * ml:.0f} ml; a brain has "
                             f"{BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f} ml. Look at it.")  # fmt: skip
        if pieces.max() < ONE_PIECE * made.sum():
            raise ValueError(f"{where}: {name} is in {pieces.size} pieces, the largest with "
                             f"{pieces.max() / made.sum():.0%} of it. Look at it.")  # fmt: skip
        return made.astype(np.uint8)
    try:
        tumour = to_canonical(values, scheme) > 0
    except ValueError as error:
        raise ValueError(f"{where}: {name}: {error}") from error
    brain = open_volume(Path(files["brain_mask"])) if "brain_mask" in files else reference
    inside = np.asarray(brain.dataobj) != 0
    if not tumour.any() or tumour.sum() > MOST_TUMOUR * inside.sum() or (
        (tumour & inside).sum() < LEAST_INSIDE * tumour.sum()
    ):
        raise ValueError(
            f"{where}: {name} is a tumour of {tumour.sum() * ml:.1f} ml, "
            f"{(tumour & inside).sum() * ml:.1f} ml of it in a brain of {inside.sum() * ml:.0f} ml."
            " Look at it; a visit without a tumour is left out of the table."
        )
    return np.rint(values).astype(np.uint8)
