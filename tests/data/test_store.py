from __future__ import annotations

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import blosc2
import numpy as np
import pytest

from mechlearn.data.preparation import prepare
from mechlearn.data.slices import OpenFiles, SliceFile, write_slice_file
from mechlearn.data.store import SliceStore
from mechlearn.records import Radiotherapy


def test_index_agrees_with_the_arrays(store):
    for row in store.slices(patient="P2"):
        read = store.read(row)
        assert read.brain_area_mm2 == pytest.approx(row.brain_area_mm2)
        assert read.tumour_fraction == pytest.approx(row.tumour_fraction)
        assert (read.z, read.session, read.day) == (row.z, row.session, row.day)


def test_splits_are_disjoint_and_complete(store):
    parts = [store.patients(s) for s in ("train", "val", "test")]
    assert sorted(sum(parts, [])) == store.patients() == ["P0", "P1", "P2", "P3"]


def test_slices_of_a_split_are_of_its_patients(store):
    assert {r.patient for r in store.slices("val")} == set(store.patients("val"))


def test_slices_of_one_session(store):
    rows = store.slices(patient="P0", session="s1")
    assert {(r.patient, r.session) for r in rows} == {("P0", "s1")}


def test_unknown_split_patient_and_session_are_named(store):
    with pytest.raises(ValueError, match="split='dev'"):
        store.patients("dev")
    with pytest.raises(KeyError, match="no patient 'P9'"):
        store.visits("P9")
    with pytest.raises(KeyError, match=r"no session 's7'.*'s0', 's1', 's2'"):
        store.visit("P0", "s7")


def test_missing_slice_names_the_range(store):
    with pytest.raises(KeyError, match="slice z=99"):
        store.visit("P0", "s0").row_of(99)


def test_image_is_float32_and_label_writable(store):
    read = store.read(store.slices()[0])
    assert read.image.dtype == np.float32
    read.labels[0, 0] = 1  # a copy: the store on disk stays as it is


def test_card_is_plain_builtins(store):
    card = store.card()
    assert json.loads(json.dumps(card)) == card
    assert (card["contrasts"], card["size"], card["pixel_mm"]) == (
        ["t1n", "t1c", "t2w", "t2f"], 48, 1.0,
    )  # fmt: skip


def test_visits_are_in_order_of_day(store):
    assert [v.day for v in store.visits("P1")] == [0.0, 30.0, 60.0]


def test_longitudinal_slice_follows_the_tumour(store):
    (middle,) = store.longitudinal("P1", zs=[5])
    areas = middle.timeline.sizes
    assert np.all(np.diff(areas) > 0)
    assert middle.slice_id == "P1/z005"


def test_timeline_of_the_index_equals_that_of_the_images(store):
    (middle,) = store.longitudinal("P1", zs=[5])
    assert store.timeline("P1", 5) == middle.timeline


def test_radiotherapy_travels_with_the_patient(store):
    assert store.courses("P1") == (Radiotherapy(10.0, 52.0),)
    assert store.timeline("P1", 5).courses == store.courses("P1")


def test_courses_on_different_visits_are_all_the_patients(tmp_path, visit_of, spec):
    first = replace(visit_of(), rt_start_day=10.0, rt_end_day=52.0, dose_gy=60.0)
    again = replace(visit_of(session="s1", day=250.0), rt_end_day=221.0, dose_gy=35.0)
    store = prepare([first, again], tmp_path / "store", spec=spec)
    wanted = (Radiotherapy(10.0, 52.0, 60.0), Radiotherapy(207.0, 221.0, 35.0))
    assert store.courses("P1", rt_duration_days=14.0) == wanted
    (middle,) = store.longitudinal("P1", zs=[5], rt_duration_days=14.0)
    assert middle.courses == store.timeline("P1", 5, rt_duration_days=14.0).courses == wanted


def test_store_can_be_sent_to_loader_workers(store):
    copy = pickle.loads(pickle.dumps(store))
    assert copy.slices() == store.slices()


@pytest.fixture(scope="module")
def mixed(store):
    """Rows of several visits in no order, one of them twice."""
    rows = store.slices()
    return [rows[i] for i in (7, 0, len(rows) - 1, 7)]


def test_batch_holds_the_slices_in_the_order_asked(store, mixed):
    images, labels, brain = store.batch(mixed)
    assert (images.dtype, labels.dtype, brain.dtype) == (np.float16, np.uint8, bool)
    for i, row in enumerate(mixed):
        for read, kept in zip((images[i], labels[i], brain[i]), store.arrays(row), strict=True):
            assert np.array_equal(read, kept)


def test_batch_of_some_channels(store, mixed):
    whole, some = store.batch(mixed)[0], store.batch(mixed, channels=[3, 0])[0]
    assert np.array_equal(some, whole[:, [3, 0]])


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_batch_in_another_process_is_the_same(store, mixed, method):
    here = store.batch(mixed)
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        there = pool.submit(store.batch, mixed).result()
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**16, (3, 2, 16, 24), dtype=np.uint16)  # NaN, infinities and all
    labels = rng.integers(0, 5, (3, 16, 24), dtype=np.uint8)
    return bits.view(np.float16), labels, rng.random((3, 16, 24)) < 0.5


def test_every_bit_of_a_slice_comes_back(tmp_path, arrays):
    write_slice_file(tmp_path / "a", *arrays)
    file, image, mask = (
        SliceFile(tmp_path / "a"),
        np.empty((2, 16, 24), "f2"),
        np.empty((16, 24), "u2"),
    )
    file.image(1, image)
    file.masks(1, mask)
    assert np.array_equal(image.view("u2"), arrays[0][1].view("u2"))
    for read, kept in zip(file.unpack(mask), arrays[1:], strict=True):
        assert np.array_equal(read, kept[1])


def test_the_same_slices_give_the_same_bytes(tmp_path, arrays):
    for name in "ab":
        write_slice_file(tmp_path / name, *arrays)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_file_reads_without_this_library_as_its_docstring_says(tmp_path, arrays):
    write_slice_file(tmp_path / "slices.b2nd", *arrays)
    stored = blosc2.open(str(tmp_path / "slices.b2nd"))[2]
    assert np.array_equal(stored[:-1], arrays[0][2].view("u2"))
    assert np.array_equal(stored[-1] & 127, arrays[1][2])
    assert np.array_equal(stored[-1] >> 7, arrays[2][2])


@pytest.mark.parametrize("row", [-1, 3])
def test_row_that_is_not_in_the_file_is_refused(tmp_path, arrays, row):
    write_slice_file(tmp_path / "slices.b2nd", *arrays)
    with pytest.raises(ValueError, match=f"has 3 slices and no row {row}; .*Open the store anew"):
        SliceFile(tmp_path / "slices.b2nd").masks(row, np.empty((16, 24), np.uint16))


def test_broken_slice_file_is_named(tmp_path, arrays):
    path = tmp_path / "slices.b2nd"
    write_slice_file(path, *arrays)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"slices\.b2nd: cannot be read .*prepare again"):
        SliceFile(path)


def test_view_of_some_contrasts_narrows_everything(store, mixed):
    view = SliceStore(store.root, contrasts=["t2f", "t1n"])
    assert view.contrasts == tuple(view.card()["contrasts"]) == ("t2f", "t1n")
    whole, row = store.batch(mixed)[0], view.slices()[0]
    assert np.array_equal(view.batch(mixed)[0], whole[:, [3, 0]])
    assert np.array_equal(view.batch(mixed, channels=[1])[0], whole[:, [0]])
    assert view.read(row).contrasts == view.visit(row.patient, row.session).contrasts
    visit, stored = (s.visit(row.patient, row.session) for s in (view, store))
    assert np.array_equal(visit.array("images"), stored.array("images")[:, [3, 0]])
    assert visit.intensity == stored.intensity.select(["t2f", "t1n"])
    assert row.present == (True, True)


def test_view_of_a_contrast_that_is_not_there_is_refused(store):
    with pytest.raises(ValueError, match="contrasts='adc'"):
        SliceStore(store.root, contrasts=["adc"])


def test_view_leaves_out_visits_without_any_of_its_contrasts(tmp_path, visit_of, spec):
    record = visit_of(patient="P2")
    lacking = replace(record, images={"t1n": record.images["t1n"]})
    prepare([visit_of(), lacking], tmp_path / "store", spec=replace(spec, missing="fill"))
    assert SliceStore(tmp_path / "store", contrasts=["t1n"]).patients() == ["P1", "P2"]
    assert SliceStore(tmp_path / "store", contrasts=["t2f"]).patients() == ["P1"]


def test_only_so_many_files_stay_open(tmp_path):
    opened: list[Path] = []
    files = OpenFiles(lambda path: opened.append(path) or path.name, most=2)
    names = [files(tmp_path / name) for name in "aababcab"]
    assert names == list("aababcab")
    assert len(files) == 2
    assert [p.name for p in opened] == list("abcab")


def test_missing_store_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m mechlearn\.prepare"):
        SliceStore(tmp_path)


def test_another_format_is_refused(tmp_path):
    (tmp_path / "store.json").write_text('{"format": 99, "spec": {}}')
    with pytest.raises(ValueError, match="format=99"):
        SliceStore(tmp_path)


def test_broken_json_is_named(tmp_path):
    (tmp_path / "store.json").write_text("{")
    with pytest.raises(ValueError, match=r"store\.json: is not valid JSON"):
        SliceStore(tmp_path)


def test_visits_on_different_grids_are_not_matched(tmp_path, case_of, visit_of, spec):
    moved = np.diag([-1.0, -1.0, 1.0, 1.0])
    moved[0, 3] = 5.0
    records = [visit_of(case_of(), session="s0"), visit_of(case_of(), session="s1", affine=moved)]
    store = prepare(records, tmp_path / "store", spec=spec)
    with pytest.raises(ValueError, match=r"session s1 .* 5\.0 mm.*Co-register"):
        store.longitudinal("P1")


def test_visits_cropped_elsewhere_are_not_matched(tmp_path, case_of, visit_of, spec):
    small = replace(spec, size=32)
    first, second = visit_of(), visit_of(case_of(shift=(3, -2)), session="s1", day=9.0)
    for record in (second, first):  # each by itself
        store = prepare([record], tmp_path / "store", spec=small, splits={"P1": "train"})
    with pytest.raises(ValueError, match=r"s1 was prepared without s0.*\(3, -2\).*one command"):
        store.longitudinal("P1")


def test_visits_without_days_have_slices_but_no_timeline(tmp_path, visit_of, spec):
    store = prepare([replace(visit_of(), day=None)], tmp_path / "store", spec=spec)
    assert np.isnan(store.read(store.slices()[0]).day)
    with pytest.raises(ValueError, match=r"sessions \['s0'\] have no day"):
        store.timeline("P1", 5)
