"""What a bundle runs is our own preparing, sampling and writing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.nifti import write_scans
from mechlearn.data.preparation import prepare
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.bundle_inference import (
    GuidedInference,
    SizeRequest,
    prepare_spec,
    read_fraction,
    read_mask,
)
from mechlearn.evaluation.model_pair import ModelBundle, generate, load_models
from mechlearn.evaluation.rows import read_table
from mechlearn.models.checkpoints import LoadedModel, build_network, build_sampler, make_card
from mechlearn.models.exports.pair import ExportSpec, export_pair
from mechlearn.records import CONTRASTS, GuidanceTarget

AFFINE = np.diag([-2.0, -2.0, 4.0, 1.0])
RECIPE = SamplerSpec(nl=20, steps=2, encode="noise")  # noise: the seed and the name count


def write_scan(folder, *, contrasts=CONTRASTS, width=28, depth=6):
    """An ellipsoid brain with a ball of tumour, integers, 2 x 2 x 4 mm."""
    shape = (width, width, depth)
    x, y, z = ((np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2)
               * np.array([2, 2, 4])[:, None, None, None])
    edge = 0.9 * width
    brain = (x / edge) ** 2 + (y / edge) ** 2 + (z / (2.2 * depth)) ** 2 < 1
    tumour = ((x - 6) ** 2 + (y - 4) ** 2 + (z - 3) ** 2 < 8**2) & brain
    rng = np.random.default_rng(0)
    files = {}
    for i, name in enumerate(contrasts):
        values = np.where(brain, 100 + 20 * i + rng.normal(0, 5, shape) + 60 * tumour, 0)
        files[name] = folder / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(values.astype(np.int16), AFFINE), files[name])
    seg = folder / "seg.nii.gz"
    nib.save(nib.Nifti1Image((2 * tumour).astype(np.uint8), AFFINE), seg)
    return SimpleNamespace(files=files, seg=seg)


def tiny(kind, contrasts):
    names = {"ddpm": "Denoiser", "segmenter": "Segmenter"}
    network = {"_target_": f"mechlearn.models.networks.{names[kind]}", "channels": [8, 16],
               "attention_levels": [False, True], "num_res_blocks": 1, "norm_num_groups": 4,
               "contrasts": len(contrasts)}
    data = {"contrasts": list(contrasts), "size": 32, "pixel_mm": 2.0,
            "intensity": {"percentiles": [0.5, 99.9]}}
    torch.manual_seed(0)
    module = build_network(network).eval().requires_grad_(False)
    return LoadedModel(module, make_card(kind, network, NoiseSchedule(), data), kind)


def make_models(contrasts=CONTRASTS):
    pair = tiny("ddpm", contrasts), tiny("segmenter", contrasts)
    return ModelBundle(*pair, build_sampler(*pair, RECIPE))


@pytest.fixture(scope="module")
def models():
    return make_models()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="module")
def store(models, scan, tmp_path_factory):
    """The same scan, prepared as any cohort is."""
    record = VisitRecord("scan", "scan", scan.files, scan.seg, "brats2023")
    return prepare([record], tmp_path_factory.mktemp("own") / "store",
                   spec=prepare_spec(models.denoiser))


def inference(models, folder, scan, *, size=None, seg=True, **options):
    item = {"image": scan.files, "seg": scan.seg if seg else None, "name": "scan"}
    request = size or SizeRequest(multiple=1.5)
    return GuidedInference(models, [item], size=request, output_dir=folder, **options)


def own_slice(store, z):
    (visit,) = store.visits("scan")
    return store.read(store.slices()[visit.row_of(z)])


def own_sample(sampler, reference, fraction, *, seed):
    (made,) = sampler.sample(
        torch.from_numpy(reference.image), [GuidanceTarget(fraction)],
        brain=torch.from_numpy(reference.brain), seed=seed, slice_id=reference.slice_id,
    )  # fmt: skip
    return made


def test_arrays_are_those_of_our_own_sampler(models, store, scan, tmp_path):
    (result,) = inference(models, tmp_path, scan, slices=[2, 3], seed=5).run()
    assert list(result.generations) == [2, 3]
    for z, made in result.generations.items():
        reference = own_slice(store, z)
        own = own_sample(models.sampler, reference, 1.5 * reference.tumour_fraction, seed=5)
        assert torch.equal(made.image, own.image)
    saved = np.load(result.files["arrays"])
    assert saved["z"].tolist() == [2, 3]
    np.testing.assert_array_equal(saved["image"][1], result.generations[3].image.numpy())


def test_files_are_those_of_our_own_writer(models, store, scan, tmp_path):
    (result,) = inference(models, tmp_path / "bundle", scan, slices=3).run()
    (visit,) = store.visits("scan")
    images = {3: result.generations[3].image.numpy()}
    for name, path in write_scans(visit, images, tmp_path / "own", stem="scan").items():
        own, theirs = nib.load(path), nib.load(result.files[name])
        np.testing.assert_array_equal(np.asanyarray(own.dataobj), np.asanyarray(theirs.dataobj))
        np.testing.assert_array_equal(own.affine, theirs.affine)
        assert own.get_data_dtype() == theirs.get_data_dtype() == np.int16


def test_channels_of_one_file_give_what_files_by_contrast_give(models, scan, tmp_path):
    stack = np.stack([np.asanyarray(nib.load(p).dataobj) for p in scan.files.values()], -1)
    nib.save(nib.Nifti1Image(stack, AFFINE), tmp_path / "all.nii.gz")
    (by_file,) = inference(models, tmp_path / "a", scan, slices=3).run()
    one = {"image": "all.nii.gz", "seg": scan.seg, "name": "scan"}
    (by_channel,) = GuidedInference(
        models, [one], size=SizeRequest(multiple=1.5), output_dir=tmp_path / "b",
        dataset_dir=tmp_path, slices=3,
    ).run()  # fmt: skip
    assert torch.equal(by_file.generations[3].image, by_channel.generations[3].image)


def test_a_single_slice_of_one_contrast_is_redrawn(tmp_path):
    whole = write_scan(tmp_path, contrasts=("t2f",))
    flat = np.asanyarray(nib.load(whole.files["t2f"]).dataobj)[..., 3]
    nib.save(nib.Nifti1Image(flat, AFFINE), tmp_path / "flat.nii.gz")
    result = GuidedInference(
        make_models(("t2f",)), [{"image": tmp_path / "flat.nii.gz"}],
        size=SizeRequest(area_mm2=200.0), output_dir=tmp_path / "out", slices=0,
    ).run()[0]  # fmt: skip
    written = nib.load(result.files["t2f"])
    assert written.shape == (28, 28, 1)
    assert np.asanyarray(written.dataobj).any()


def test_largest_slice_is_that_of_the_segmentation(models, store, scan, tmp_path):
    (result,) = inference(models, tmp_path, scan).run()
    assert list(result.generations) == [max(store.slices(), key=lambda r: r.tumour_area_mm2).z]
    assert result.rows[0]["present_from"] == "segmentation"


def test_tumour_slices_are_those_of_the_segmentation(models, store, scan, tmp_path):
    (result,) = inference(models, tmp_path, scan, slices="tumour").run()
    assert list(result.generations) == [r.z for r in store.slices() if r.tumour_fraction > 0]


def test_without_a_segmentation_the_guide_says_what_is_there(models, store, scan, tmp_path):
    (result,) = inference(models, tmp_path, scan, seg=False, slices=3).run()
    (row,) = result.rows
    made, reference = result.generations[3], own_slice(store, 3)
    assert row["present_from"] == "guide"
    assert made.predicted_before == read_fraction(models, reference)
    assert made.target.tumour_fraction == 1.5 * made.predicted_before


def test_a_regressor_does_not_say_where_the_tumour_is(models, store):
    sizes = replace(models.guide, card={**models.guide.card, "kind": "regressor"})
    with pytest.raises(ValueError, match="reads a size, not a place"):
        read_mask(replace(models, guide=sizes), own_slice(store, 3))


def test_table_holds_the_sizes(models, store, scan, tmp_path):
    (result,) = inference(models, tmp_path, scan, size=SizeRequest(area_mm2=300.0), slices=3).run()
    (row,) = read_table(result.files["table"])
    assert row["target_mm2"] == pytest.approx(300.0)
    assert row["present_mm2"] == pytest.approx(own_slice(store, 3).tumour_area_mm2)
    assert row["generated_mm2"] > 0  # measured on FLAIR, not the guide's word


def test_other_slices_come_from_the_source_where_asked(models, scan, tmp_path):
    (result,) = inference(models, tmp_path, scan, slices=3, fill="source").run()
    source = np.asanyarray(nib.load(scan.files["t1c"]).dataobj)
    written = np.asanyarray(nib.load(result.files["t1c"]).dataobj)
    np.testing.assert_array_equal(written[..., 2], source[..., 2])
    assert (written[..., 3] != source[..., 3]).any()


def test_brain_mask_says_what_is_brain(models, scan, tmp_path):
    """Skull that is not stripped counts for neither the percentiles nor the brain's area."""
    mask = np.asanyarray(nib.load(scan.files["t2f"]).dataobj) > 0
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), AFFINE), tmp_path / "mask.nii.gz")
    skull = np.full(mask.shape, 30000, np.int16)
    files = {}
    for name, path in scan.files.items():
        files[name] = tmp_path / f"{name}.nii.gz"
        values = np.where(mask, np.asanyarray(nib.load(path).dataobj), skull)
        nib.save(nib.Nifti1Image(values, AFFINE), files[name])
    item = {"image": files, "seg": scan.seg, "brain_mask": tmp_path / "mask.nii.gz"}
    (masked,) = GuidedInference(models, [item], size=SizeRequest(multiple=1.5), slices=3,
                                output_dir=tmp_path / "masked").run()
    (stripped,) = inference(models, tmp_path / "stripped", scan, slices=3).run()
    assert torch.equal(masked.generations[3].image, stripped.generations[3].image)


def test_guide_without_predicted_tumour_is_reported(models, scan, tmp_path):
    with pytest.raises(ValueError, match=r"slices=largest.*by the guide.*slice numbers"):
        inference(models, tmp_path, scan, seg=False, min_area_mm2=1e9).run()


def test_slice_that_is_not_there_is_refused(models, scan, tmp_path):
    with pytest.raises(ValueError, match=r"slices=\[40\].*slices 0 to 5"):
        inference(models, tmp_path, scan, slices=40).run()


def test_scan_that_is_not_given_is_refused(models, tmp_path):
    one = GuidedInference(models, [{}], size=SizeRequest(multiple=1.5), output_dir=tmp_path)
    with pytest.raises(ValueError, match="--image"):
        one.run()


def test_unknown_choice_of_slices_is_refused(models, tmp_path):
    with pytest.raises(ValueError, match="slices='middle'.*largest, tumour"):
        GuidedInference(models, [], size=SizeRequest(multiple=2.0), output_dir=tmp_path,
                        slices="middle")


@pytest.mark.parametrize("size", [{}, {"multiple": 1.5, "area_mm2": 300.0}])
def test_size_is_asked_for_in_one_way(size):
    with pytest.raises(ValueError, match="one of multiple, area_mm2, fraction"):
        SizeRequest(**size)


def test_multiple_of_nothing_is_refused(store):
    with pytest.raises(ValueError, match=r"multiple=1\.5, but there is no tumour"):
        SizeRequest(multiple=1.5).target(own_slice(store, 3), 0.0)


def test_more_tumour_than_brain_is_refused(store):
    with pytest.raises(ValueError, match="times the brain's area"):
        SizeRequest(area_mm2=1e6).target(own_slice(store, 3), 0.1)


@pytest.mark.slow
def test_monai_runs_the_bundle_and_gives_our_own_samplers_array(tmp_path):
    """The packaged pair, exported, run by MONAI's own command in a process of its own."""
    spec = SamplerSpec(steps=4, guidance="labels")
    models = load_models(spec=spec)
    root = export_pair(models.denoiser, models.guide, tmp_path / "model", layout="monai",
                       spec=ExportSpec("demo", sampler=spec))
    scan = write_scan(tmp_path, width=56)
    config = root / "configs" / "inference.json"
    words = [f"--image#{name}={path}" for name, path in scan.files.items()]
    line = [sys.executable, "-m", "monai.bundle", "run", f"--config_file={config}",
            f"--bundle_root={root}", *words, f"--seg={scan.seg}", "--slices=tumour", "--seed=3",
            "--multiple=1.5", "--device=cpu", f"--output_dir={tmp_path / 'out'}"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]

    record = VisitRecord("scan", "scan", scan.files, scan.seg, "brats2023")
    store = prepare([record], tmp_path / "store", spec=prepare_spec(models.denoiser))
    (visit,) = store.visits("scan")
    saved = np.load(tmp_path / "out" / "scan-generated.npz")
    assert saved["z"].tolist() == [r.z for r in store.slices() if r.tumour_fraction > 0]
    images = dict(zip(saved["z"].tolist(), saved["image"], strict=True))
    for z, image in images.items():
        reference = store.read(store.slices()[visit.row_of(z)], surroundings=True)
        target = GuidanceTarget(1.5 * reference.tumour_fraction)
        (own,) = generate(models.sampler, reference, [target], seed=3)
        np.testing.assert_array_equal(image, own.image.numpy())
    for name, path in write_scans(visit, images, tmp_path / "own", stem="scan").items():
        theirs = nib.load(tmp_path / "out" / f"scan-{name}.nii.gz")
        np.testing.assert_array_equal(
            np.asanyarray(theirs.dataobj), np.asanyarray(nib.load(path).dataobj)
        )
    assert asdict(spec)["nl"] == json.loads(config.read_text())["sampler"]["nl"]
