"""What holds for any table, header and card, not for chosen ones alone."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mechlearn.config.errors import user_text
from mechlearn.data.day_cells import days_from_dates
from mechlearn.data.manifest import VisitRecord, read_manifest, write_manifest
from mechlearn.data.model_grid import reorient
from mechlearn.data.nifti_input import open_volume
from mechlearn.data.size_table import read_series, write_series
from mechlearn.files import read_json, write_json
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

FEW = settings(max_examples=40, deadline=None, derandomize=True,
               suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
DAYS = st.floats(-3000, 10_000, allow_nan=False)
SIZES = st.floats(0, 1e6, allow_nan=False)
TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)


@FEW
@given(
    patient=NAMES,
    visits=st.lists(st.tuples(DAYS, SIZES), min_size=1, max_size=6),
    start=st.none() | st.floats(0, 500),
)
def test_series_come_back_from_their_table(tmp_path, patient, visits, start):
    readings = tuple(SizeReading(d, s) for d, s in sorted(visits))
    courses = () if start is None else (Radiotherapy(start, start + 42, 60.0, 30),)
    series = SizeSeries(f"{patient}/z", patient, readings, courses)
    assert read_series(write_series([series], tmp_path / "s.csv")).timelines == (series,)


@FEW
@given(patient=NAMES, session=NAMES, day=st.none() | DAYS, source=TEXT.map(str.strip))
def test_visits_come_back_from_their_manifest(tmp_path, patient, session, day, source):
    files = {"t1n": tmp_path / "a.nii"}
    record = VisitRecord(patient, session, files, tmp_path / "s.nii", "gtv", day=day, source=source)
    path = write_manifest([record], tmp_path / "v.csv")
    assert read_manifest(path, check_files=False) == [record]


@FEW
@given(content=st.binary(max_size=200) | TEXT.map(str.encode))
@pytest.mark.parametrize("read", [read_series, read_manifest, read_json])
def test_any_bytes_are_read_or_refused_in_words(tmp_path, read, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    try:
        read(path)
    except (ValueError, FileNotFoundError) as error:
        said = user_text(error)
        assert said is not None
        assert "t.csv" in said


@FEW
@given(
    days=st.lists(st.dates(dt.date(1990, 1, 1), dt.date(2090, 1, 1)), min_size=1, max_size=6),
    form=st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y"]),
)
def test_intervals_of_dates_are_kept(days, form):
    rows = [("row", {"patient": "P", "day": day.strftime(form)}) for day in days]
    read = [int(row["day"]) for _, row in days_from_dates(Path("t.csv"), rows, ("day",))]
    assert read == [(day - min(days)).days for day in days]


@FEW
@given(
    order=st.permutations(range(3)), signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    unit=st.sampled_from(["mm", "meter", "micron", "unknown"]),
    kind=st.sampled_from(["u1", "i2", ">i2", "i4", "f4", ">f8"]),
    extra=st.integers(0, 2),
)  # fmt: skip
def test_a_volume_is_the_same_in_every_axis_order_and_unit(
    tmp_path, order, signs, unit, kind, extra
):
    plain = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    image = nib.Nifti1Image(plain, np.diag([2.0, 1.5, 3.0, 1.0]))
    turn = np.array([[axis, sign] for axis, sign in zip(order, signs, strict=True)])
    turned = image.as_reoriented(turn)
    factor = {"meter": 0.001, "micron": 1000.0}.get(unit, 1.0)
    data = np.asarray(turned.dataobj).astype(kind).reshape(*turned.shape, *[1] * extra)
    other = nib.Nifti1Image(data, np.diag([factor] * 3 + [1.0]) @ turned.affine)
    other.header.set_xyzt_units(unit)
    path = tmp_path / "a.nii"
    nib.save(other, path)
    read = open_volume(path)
    assert np.array_equal(reorient(np.asarray(read.dataobj), read.affine),
                          reorient(plain, image.affine))  # fmt: skip
    assert np.allclose(np.sort(np.abs(read.affine[:3, :3]).sum(0)), [1.5, 2.0, 3.0], rtol=1e-4)


@FEW
@example(at=123, value=4)  # a unit of length that NIfTI does not know
@given(at=st.integers(0, 347), value=st.integers(0, 255))
def test_any_byte_of_a_header_is_read_or_refused_in_words(tmp_path, at, value):
    raw = bytearray(nib.Nifti1Image(np.ones((2, 3, 4), np.int16), np.eye(4)).to_bytes())
    raw[at] = value
    path = tmp_path / "a.nii"
    path.write_bytes(raw)
    try:
        image = open_volume(path)
    except ValueError as error:
        assert "a.nii" in str(error)  # noqa: PT017
    else:
        assert len(image.shape) == 3


@FEW
@given(card=st.dictionaries(NAMES, st.integers() | TEXT | st.lists(st.floats(-1e9, 1e9))))
def test_cards_come_back(tmp_path, card):
    path = tmp_path / "c.json"
    if "crc32" in card:
        return
    write_json(path, card, digest=bool(card))
    assert read_json(path, digest=True) == json.loads(json.dumps(card))
