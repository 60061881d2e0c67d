from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.joined_store import join_stores
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.preparation import PrepareSpec, prepare
from mechlearn.data.store import SliceStore


@pytest.fixture
def pair(
    tmp_path: Path, spec: PrepareSpec, visit_of: Callable[..., VisitRecord]
) -> tuple[SliceStore, SliceStore]:
    """One store with patients a (train) and b (val), one with c (train) and d (val)."""
    record = visit_of()
    stores = []
    for names in ("ab", "cd"):
        records = [replace(record, patient=name) for name in names]
        splits = {names[0]: "train", names[1]: "val"}
        stores.append(prepare(records, tmp_path / names, spec=spec, splits=splits))
    return stores[0], stores[1]


def test_training_patients_of_all_and_validation_of_the_first(pair, tmp_path):
    joined = join_stores(tmp_path / "joined", [s.root for s in pair])
    assert joined.splits == {"a": "train", "b": "val", "c": "train"}
    row = joined.slices(patient="c")[0]
    again = pair[1].read(pair[1].slices(patient="c")[0])
    assert np.array_equal(joined.read(row).image, again.image)


def test_a_patient_of_two_stores_is_refused(pair, tmp_path):
    with pytest.raises(ValueError, match="counted twice"):
        join_stores(tmp_path / "joined", [pair[0].root, pair[0].root])


def test_stores_prepared_otherwise_are_refused(pair, tmp_path, visit_of):
    spec = PrepareSpec(size=64, pixel_mm=1.0, min_brain_mm2=50.0)
    other = prepare([replace(visit_of(), patient="e")], tmp_path / "e", spec=spec,
                    splits={"e": "train"})
    with pytest.raises(ValueError, match=r"same data\.prepare"):
        join_stores(tmp_path / "joined", [pair[0].root, other.root])


def test_a_store_is_not_joined_over(pair, tmp_path):
    join_stores(tmp_path / "joined", [pair[0].root])
    with pytest.raises(FileExistsError, match="exists already"):
        join_stores(tmp_path / "joined", [pair[1].root])
