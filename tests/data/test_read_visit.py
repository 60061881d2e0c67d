"""Segmentations of several masks, brain masks and measured volumes, from files."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.volumes import prepare_visit, read_visit

CONTRASTS = ("t1c", "t2f")


@pytest.fixture
def with_skull(case_of, visit_of, save_volume):
    """A visit whose images are nowhere 0, with its brain mask."""
    case = case_of()
    bright = {c: np.where(case.brain, v, 300).astype(np.int16) for c, v in case.volumes.items()}
    record = visit_of(replace(case, volumes=bright))
    mask = save_volume(case.brain.astype(np.uint8), record.seg.with_name("brain.nii.gz"))
    return case, replace(record, brain_mask=mask)


def test_brain_is_that_of_the_mask(with_skull):
    case, record = with_skull
    source = read_visit(record, CONTRASTS)
    assert (source.brain == case.brain).all()
    assert not source.volumes[:, ~case.brain].any()


def test_skull_without_a_brain_mask_is_refused(with_skull):
    _, record = with_skull
    with pytest.raises(ValueError, match="Strip the skull"):
        read_visit(replace(record, brain_mask=None), CONTRASTS)


def test_slices_are_prepared_inside_the_brain_mask(with_skull, spec):
    case, record = with_skull
    prepared = prepare_visit(record, spec)
    assert (prepared.images[:, 0][~prepared.brain] == -1).all()
    assert prepared.brain.sum() == case.brain[list(prepared.zs)].sum()


def test_brain_mask_on_another_grid_is_refused(with_skull, save_volume):
    case, record = with_skull
    save_volume(case.brain[:-1].astype(np.uint8), record.brain_mask)
    with pytest.raises(ValueError, match=r"brain\.nii\.gz has shape .* must share one 3D voxel"):
        read_visit(record, CONTRASTS)


def test_empty_brain_mask_is_refused(with_skull, save_volume):
    case, record = with_skull
    save_volume(np.zeros(case.brain.shape, np.uint8), record.brain_mask)
    with pytest.raises(ValueError, match=r"P1/s0: .*brain\.nii\.gz is 0 everywhere"):
        read_visit(record, CONTRASTS)


@pytest.fixture
def masked(case_of, visit_of, save_volume):
    """Oedema as 0 and 5000 beneath the enhancing part as 0 and 1."""
    case, record = case_of(), visit_of()
    oedema = save_volume((case.labels > 0).astype(np.int16) * 5000, record.seg.with_name("e.nii"))
    enhancing = save_volume((case.labels == 1).astype(np.uint8), record.seg.with_name("c.nii"))
    return case, replace(record, seg=oedema, masks={2: oedema, 3: enhancing})


def test_masks_are_combined(masked):
    case, record = masked
    labels = read_visit(record, CONTRASTS).labels
    assert (labels == np.choose(case.labels, [0, 3, 2])).all()


def test_mask_on_another_grid_is_refused(masked, save_volume):
    case, record = masked
    save_volume(case.labels[:-1], record.masks[3])
    with pytest.raises(ValueError, match=r"visit P1/s0: .*c\.nii has shape .* must share"):
        read_visit(record, CONTRASTS)


def test_mask_of_several_labels_is_named(masked, save_volume):
    case, record = masked
    save_volume(case.labels, record.masks[3])
    with pytest.raises(
        ValueError, match=r"visit P1/s0: .*c\.nii: .*a binary mask holds two values"
    ):
        read_visit(record, CONTRASTS)


@pytest.mark.parametrize("swapped", [False, True])
def test_lumiere_labels_are_held_against_their_measured_volumes(case_of, visit_of, swapped):
    record = visit_of(scheme="lumiere")
    enhancing, necrosis = (float((case_of().labels == n).sum()) for n in (1, 2))
    volumes = {"Enhancing_Core": enhancing, "Necrotic_NonEnhancing": necrosis}
    if swapped:
        volumes = dict(zip(volumes, (necrosis, enhancing), strict=True))
    record.seg.with_name("measured_volumes_in_mm3.json").write_text(json.dumps(volumes))
    if swapped:
        with pytest.raises(ValueError, match="label 1 fills .* says Enhancing_Core"):
            read_visit(record, CONTRASTS)
    else:
        assert set(np.unique(read_visit(record, CONTRASTS).labels)) == {0, 1, 3}


def test_labels_beyond_the_brain_mask_keep_their_intensities(case_of, visit_of, save_volume, spec):
    case = case_of()
    record = visit_of(case)
    cut = case.brain.copy()
    cut[tuple(np.argwhere(case.labels > 0)[:15].T)] = False
    mask = save_volume(cut.astype(np.uint8), record.seg.with_name("brain.nii.gz"))
    masked = prepare_visit(replace(record, brain_mask=mask), spec)
    assert (masked.images == prepare_visit(record, spec).images).all()


@pytest.mark.parametrize(
    "kind", [np.dtype(np.complex64), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])]
)
def test_voxels_that_are_no_real_numbers_are_refused(visit_of, kind):
    record = visit_of()
    image = nib.load(record.images["t2f"])
    nib.save(nib.Nifti1Image(np.zeros(image.shape, kind), image.affine), record.images["t2f"])
    with pytest.raises(ValueError, match=r"P1/s0: .*t2f\.nii\.gz holds .* one real number"):
        read_visit(record, CONTRASTS)
