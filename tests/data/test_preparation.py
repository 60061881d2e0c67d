from __future__ import annotations

import os
import re
from dataclasses import replace

import numpy as np
import pytest

from mechlearn.data.preparation import PrepareSpec, SplitSpec, prepare, prepare_visit
from mechlearn.data.store import SliceStore
from mechlearn.files import read_json, write_json


def all_train(*patients: str) -> dict[str, str]:
    return dict.fromkeys(patients, "train")


def arrays(store: SliceStore, patient: str = "P1", session: str = "s0") -> dict[str, np.ndarray]:
    visit = store.visit(patient, session)
    return {name: np.array(visit.array(name)) for name in ("images", "labels", "brain")}


def test_store_holds_the_types_and_shapes_of_the_format(tmp_path, visit_of, spec):
    kept = arrays(prepare([visit_of()], tmp_path / "store", spec=spec))
    n = len(kept["brain"])
    assert {k: (v.dtype.name, v.shape) for k, v in kept.items()} == {
        "images": ("float16", (n, 4, 48, 48)),
        "labels": ("uint8", (n, 48, 48)),
        "brain": ("bool", (n, 48, 48)),
    }


def test_values_are_the_source_on_the_grid(case_of, visit_of, spec):
    case = case_of()
    visit = prepare_visit(visit_of(case), spec)
    zs = list(visit.zs)
    assert np.array_equal(visit.labels[:, 4:44, 6:42], case.labels[zs])
    assert np.array_equal(visit.brain[:, 4:44, 6:42], case.brain[zs])
    expected = visit.intensity.apply(np.stack(list(case.volumes.values())), case.brain)
    np.testing.assert_allclose(
        visit.images[:, :, 4:44, 6:42], expected[:, zs].swapaxes(0, 1), atol=1e-3
    )


def test_background_is_exactly_minus_one(visit_of, spec):
    visit = prepare_visit(visit_of(), spec)
    assert np.all(visit.images.swapaxes(0, 1)[:, ~visit.brain] == -1)


def test_axis_order_of_the_files_does_not_matter(case_of, visit_of, spec):
    case = case_of()
    ras = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    one = prepare_visit(visit_of(case), spec)
    other = prepare_visit(visit_of(case, patient="P2", affine=ras), spec)
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.labels, other.labels)
    assert one.zs == other.zs


def test_slices_with_little_brain_are_left_out(case_of, visit_of, spec):
    case = case_of()
    visit = prepare_visit(visit_of(case), replace(spec, min_brain_mm2=400.0))
    assert list(visit.zs) == np.flatnonzero(case.brain.sum((1, 2)) >= 400).tolist()


def test_no_slice_with_enough_brain_is_refused(visit_of, spec):
    with pytest.raises(ValueError, match="visit P1/s0: no slice has 5000 mm2"):
        prepare_visit(visit_of(), replace(spec, min_brain_mm2=5000.0))


def test_labels_are_canonical(case_of, visit_of, spec):
    case = case_of()
    visit = prepare_visit(visit_of(case, scheme="peds2024"), spec)  # 1 enhancing, 2 core
    assert np.array_equal(visit.labels[:, 4:44, 6:42] == 3, case.labels[list(visit.zs)] == 1)


def test_finished_visits_are_not_done_again(tmp_path, visit_of, spec):
    record = visit_of()
    prepare([record], tmp_path / "store", spec=spec)
    file = tmp_path / "store/visits/P1/s0/slices.b2nd"
    before = file.stat().st_ino
    prepare([record], tmp_path / "store", spec=spec)
    assert file.stat().st_ino == before


def test_changed_source_is_done_again(tmp_path, case_of, visit_of, spec):
    first = arrays(prepare([visit_of(case_of(0))], tmp_path / "store", spec=spec))
    record = visit_of(case_of(1))
    os.utime(record.seg, (1, 1))
    second = arrays(prepare([record], tmp_path / "store", spec=spec))
    assert not np.array_equal(first["images"], second["images"])


def test_changed_day_reaches_the_store(tmp_path, visit_of, spec):
    record = visit_of()
    prepare([record], tmp_path / "store", spec=spec)
    store = prepare([replace(record, day=7.0)], tmp_path / "store", spec=spec)
    assert store.visit("P1", "s0").day == 7.0


def test_store_of_another_spec_is_refused_with_the_difference(tmp_path, visit_of, spec):
    record = visit_of()
    prepare([record], tmp_path / "store", spec=spec)
    with pytest.raises(ValueError, match=r"another spec: .*'size': '48 stored, 64 asked'"):
        prepare([record], tmp_path / "store", spec=replace(spec, size=64))


def test_foreign_folder_is_refused(tmp_path, visit_of, spec):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(ValueError, match="not empty and is no slice store"):
        prepare([visit_of()], tmp_path / "thesis", spec=spec)


def test_nothing_partial_is_left(tmp_path, visit_of, spec):
    prepare([visit_of()], tmp_path / "store", spec=spec)
    names = {path.name for path in (tmp_path / "store").iterdir()}
    assert names == {"store.json", "splits.json", "bad_visits.json", "visits", ".lock"}


def test_interrupted_visit_is_not_in_the_store(tmp_path, visit_of, spec, monkeypatch):
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    record = visit_of()
    monkeypatch.setattr("mechlearn.data.folders.replace_folder", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare([record], tmp_path / "store", spec=spec)
    assert SliceStore(tmp_path / "store", unfinished=True).patients() == []


def test_unfinished_store_is_refused_until_it_is_prepared(tmp_path, visit_of, spec, monkeypatch):
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    record = visit_of()
    with monkeypatch.context() as patch:
        patch.setattr("mechlearn.data.folders.replace_folder", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare([record], tmp_path / "store", spec=spec)
    with pytest.raises(ValueError, match=r"stopped before its end.*Prepare again"):
        SliceStore(tmp_path / "store")
    prepare([record], tmp_path / "store", spec=spec)
    assert SliceStore(tmp_path / "store").patients() == ["P1"]


def test_two_workers_write_what_one_writes(tmp_path, case_of, visit_of, spec):
    records = [visit_of(case_of(i), patient=f"P{i}") for i in range(3)]
    one = prepare(records, tmp_path / "one", spec=spec)
    two = prepare(records, tmp_path / "two", spec=spec, workers=2)
    assert one.slices() == two.slices()
    assert all(
        np.array_equal(arrays(one, f"P{i}")["images"], arrays(two, f"P{i}")["images"])
        for i in range(3)
    )


@pytest.fixture
def one_good_one_bad(visit_of, case_of):
    bad = visit_of(case_of(), patient="P2")
    bad.images["t2w"].write_bytes(b"no image")
    return [visit_of(), bad]


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_visit_is_named(tmp_path, one_good_one_bad, spec, workers):
    with pytest.raises(ValueError, match=r"1 of 2 visits are bad:\n.*P2/s0.*t2w(.|\n)*skip_bad"):
        prepare(one_good_one_bad, tmp_path / "store", spec=spec, workers=workers)


def test_good_visits_survive_a_bad_one(tmp_path, one_good_one_bad, spec):
    with pytest.raises(ValueError, match="are bad"):
        prepare(one_good_one_bad, tmp_path / "store", spec=spec)
    assert SliceStore(tmp_path / "store", unfinished=True).patients() == ["P1"]


def test_bad_visits_can_be_left_out_with_a_count(tmp_path, one_good_one_bad, spec, caplog):
    store = prepare(one_good_one_bad, tmp_path / "store", spec=spec, skip_bad=True)
    assert store.patients() == ["P1"]
    assert re.search(r"left out 1 of 2 visits: see .*bad_visits\.json", caplog.text)
    assert "P2/s0" in (tmp_path / "store/bad_visits.json").read_text()


def test_only_bad_visits_are_refused_even_then(tmp_path, one_good_one_bad, spec):
    with pytest.raises(ValueError, match="1 of 1 visits are bad"):
        prepare(one_good_one_bad[1:], tmp_path / "store", spec=spec, skip_bad=True)


def test_truncated_file_is_a_bad_visit(tmp_path, visit_of, spec):
    record = visit_of()
    whole = record.images["t1n"].read_bytes()
    record.images["t1n"].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"P1/s0: .*t1n\.nii\.gz cannot be read to its end"):
        prepare([record], tmp_path / "store", spec=spec)


def test_missing_contrast_is_named(tmp_path, visit_of, spec):
    record = visit_of()
    lacking = replace(record, images={"t1n": record.images["t1n"]})
    with pytest.raises(ValueError, match="has no t1c, t2w, t2f"):
        prepare_visit(lacking, spec)


@pytest.fixture
def filled(tmp_path, visit_of, spec):
    """A store of two patients, of whom P2 lacks t1n and t2w."""
    whole, other = visit_of(), visit_of(patient="P2")
    images = {c: other.images[c] for c in ("t1c", "t2f")}
    records = [whole, replace(other, images=images)]
    return prepare(records, tmp_path / "store", spec=replace(spec, missing="fill"))


def test_missing_contrast_is_filled_with_background_where_asked(filled):
    images = filled.visit("P2", "s0").array("images")
    assert np.all(images[:, [0, 2]] == -1)
    assert np.array_equal(images[:, [1, 3]], filled.visit("P1", "s0").array("images")[:, [1, 3]])


def test_rows_say_which_contrasts_are_there(filled):
    there = {row.patient: row.present for row in filled.slices()}
    assert there == {"P1": (True,) * 4, "P2": (False, True, False, True)}


def test_visit_without_any_contrast_asked_for_is_refused_even_then(tmp_path, visit_of, spec):
    record = visit_of()
    lacking = replace(record, images={"t1n": record.images["t1n"]})
    with pytest.raises(ValueError, match="has no t2f"):
        prepare(
            [lacking], tmp_path / "store", spec=replace(spec, contrasts=("t2f",), missing="fill")
        )


def test_store_of_whole_visits_can_go_on_with_filled_ones(tmp_path, visit_of, spec):
    record = visit_of()
    first = prepare([record], tmp_path / "store", spec=spec)
    file = first.visit("P1", "s0").folder / "slices.b2nd"
    before = file.stat().st_ino
    again = prepare([record], tmp_path / "store", spec=replace(spec, missing="fill"))
    assert again.spec.missing == "fill"
    assert file.stat().st_ino == before


def test_nan_beside_the_brain_is_a_bad_visit(tmp_path, case_of, visit_of, save_volume, spec):
    record, volume = visit_of(), case_of().volumes["t2w"].astype(np.float32)
    volume[0, 0, 0] = np.nan
    save_volume(volume, record.images["t2w"])
    with pytest.raises(ValueError, match=r"P1/s0: 1 voxels of \S*t2w\S* are NaN"):
        prepare([record], tmp_path / "store", spec=spec)


def test_store_of_the_first_format_is_made_again_and_keeps_its_splits(tmp_path, visit_of, spec):
    record, root = visit_of(), tmp_path / "store"
    prepare([record], root, spec=spec, splits={"P1": "test"})
    card = read_json(root / "store.json")
    del card["spec"]["missing"]
    del card["crc32"]
    write_json(root / "store.json", {**card, "format": 1})
    (root / "visits/P1/s0/slices.b2nd").rename(root / "visits/P1/s0/images.npy")
    with pytest.raises(ValueError, match=r"store format 1.*splits are kept"):
        SliceStore(root)
    store = prepare([record], root, spec=spec)
    assert store.patients("test") == ["P1"]
    assert [path.name for path in (root / "visits/P1/s0").glob("*.npy")] == []
    assert store.visit("P1", "s0").array("images").shape[1] == 4


def test_fewer_contrasts_can_be_prepared(visit_of, spec):
    record = visit_of()
    lacking = replace(record, images={"t1n": record.images["t1n"]})
    assert prepare_visit(lacking, replace(spec, contrasts=("t1n",))).images.shape[1] == 1


def test_segmentation_on_another_grid_is_named(case_of, visit_of, save_volume, spec):
    record = visit_of()
    moved = np.diag([-1.0, -1.0, 1.0, 1.0])
    moved[2, 3] = 4.0
    save_volume(case_of().labels, record.seg, moved)
    with pytest.raises(ValueError, match=r"seg\.nii\.gz has shape .* lies 4 mm apart"):
        prepare_visit(record, spec)


def test_segmentation_of_another_shape_is_named(case_of, visit_of, save_volume, spec):
    record = visit_of()
    save_volume(case_of().labels[:-1], record.seg)
    with pytest.raises(ValueError, match=r"\(36, 40, 9\).*must share one 3D voxel grid"):
        prepare_visit(record, spec)


def test_shifted_segmentation_is_named(case_of, visit_of, save_volume, spec):
    record = visit_of()
    save_volume(np.roll(case_of().labels, 20, axis=2), record.seg)
    with pytest.raises(ValueError, match="lie outside the brain"):
        prepare_visit(record, spec)


def test_wrong_scheme_names_visit_and_file(visit_of, case_of, spec):
    case = case_of()
    case.labels[case.labels == 2] = 4
    with pytest.raises(ValueError, match=r"visit P1/s0: .*seg\.nii\.gz: labels \[4\]"):
        prepare_visit(visit_of(case), spec)


def test_constant_contrast_is_named(visit_of, case_of, save_volume, spec, tmp_path):
    record, case = visit_of(), case_of()
    save_volume(case.brain.astype(np.int16), record.images["t2w"])
    with pytest.raises(ValueError, match="P1/s0: contrast t2w: .*constant"):
        prepare([record], tmp_path / "store", spec=spec)


def test_visits_of_a_patient_share_the_place_of_the_grid(tmp_path, case_of, visit_of):
    spec = PrepareSpec(size=32, pixel_mm=1.0, min_brain_mm2=50.0)
    shape = (10, 60, 36)
    records = [
        visit_of(case_of(0, shape=shape, shift=(10, 0)), session="s0"),
        visit_of(case_of(1, shape=shape, shift=(9, 0)), session="s1", day=30.0),
    ]
    store = prepare(records, tmp_path / "store", spec=spec)
    offsets = {v.placement.offset for v in store.visits("P1")}
    assert offsets == {(10, 0)}


def test_given_splits_are_stored(tmp_path, visit_of, spec):
    store = prepare([visit_of()], tmp_path / "store", spec=spec, splits={"P1": "test"})
    assert store.patients("test") == ["P1"]


def test_splits_stay_when_patients_are_added(tmp_path, case_of, visit_of, spec):
    records = [visit_of(case_of(i), patient=f"P{i}") for i in range(4)]
    before = prepare(records[:3], tmp_path / "store", spec=spec, splits=SplitSpec(1, 1)).splits
    after = prepare(records, tmp_path / "store", spec=spec, splits=SplitSpec(1, 1, seed=5)).splits
    assert {p: after[p] for p in before} == before


def test_spec_from_a_config_list_equals_the_tuple():
    assert PrepareSpec(percentiles=[1.0, 99.0]).as_dict() == (  # type: ignore[arg-type]
        PrepareSpec(percentiles=(1.0, 99.0)).as_dict()
    )


@pytest.mark.parametrize(
    "options",
    [{"size": 2}, {"pixel_mm": 0.0}, {"percentiles": (9.0, 1.0)}, {"contrasts": ("t1",)},
     {"contrasts": ()}, {"min_brain_mm2": -1.0}, {"missing": "guess"}],
)  # fmt: skip
def test_impossible_spec_is_refused(options):
    with pytest.raises(
        ValueError, match=r"size|pixel_mm|percentiles|contrasts|min_brain_mm2|missing"
    ):
        PrepareSpec(**options)


def test_no_visit_is_refused(tmp_path, spec):
    with pytest.raises(ValueError, match="no visit given"):
        prepare([], tmp_path / "store", spec=spec)


def test_a_visit_that_went_bad_leaves_the_store_where_bad_ones_are_left_out(
    tmp_path, visit_of, case_of, spec, caplog
):
    records = [visit_of(), visit_of(case_of(1), patient="P2")]
    prepare(records, tmp_path / "store", spec=spec)
    records[1].images["t2w"].write_bytes(b"no image")
    store = prepare(records, tmp_path / "store", spec=spec, skip_bad=True)
    assert store.patients() == ["P1"]
    assert "took 1 visits out of the store" in caplog.text


def test_a_visit_to_leave_out_is_taken_out_of_the_store(tmp_path, visit_of, case_of, spec):
    records = [visit_of(), visit_of(case_of(1), patient="P2")]
    prepare(records, tmp_path / "store", spec=spec)
    store = prepare(records[:1], tmp_path / "store", spec=spec, leave_out=["P2/s0"])
    assert store.patients() == ["P1"]
    assert [p.name for p in (tmp_path / "store" / "visits").iterdir()] == ["P1"]


def test_a_broken_index_of_a_visit_is_made_again(tmp_path, visit_of, spec):
    record = visit_of()
    before = arrays(prepare([record], tmp_path / "store", spec=spec))
    (tmp_path / "store/visits/P1/s0/visit.json").write_text("")
    after = arrays(prepare([record], tmp_path / "store", spec=spec))
    assert all((after[name] == before[name]).all() for name in before)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_nobody_foresaw_tells_the_visit(tmp_path, visit_of, spec, monkeypatch, workers):
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("never seen before")

    monkeypatch.setattr("mechlearn.data.folders.prepare_visit", fail)  # forked workers see it
    with pytest.raises(RuntimeError, match="never seen before") as caught:
        prepare([visit_of()], tmp_path / "store", spec=spec, workers=workers)
    assert "while preparing visit P1/s0" in caught.value.__notes__[0]


def interrupt(*args: object) -> None:
    raise KeyboardInterrupt


def test_smaller_run_after_a_stopped_one_names_what_it_leaves(
    tmp_path, case_of, visit_of, spec, monkeypatch, caplog
):
    records = [visit_of(case_of(i), patient=f"P{i}") for i in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr("mechlearn.data.preparation._run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(records, tmp_path / "store", spec=spec)
    prepare(records[:1], tmp_path / "store", spec=spec)
    assert "a stopped run wanted are neither in the store nor asked for now: P1/s0" in caplog.text
