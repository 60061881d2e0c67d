from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mechlearn.data.datasets import SliceDataset, as_floats
from mechlearn.data.draws import Draw

ALL = (True, True, True, True)


def test_item_has_the_documented_shapes(store):
    item = SliceDataset(store, "train")[0]
    assert {k: (v.dtype, tuple(v.shape)) for k, v in item.items()} == {
        "image": (torch.float32, (4, 48, 48)),
        "tumour": (torch.float32, (1, 48, 48)),
        "brain": (torch.float32, (1, 48, 48)),
        "labels": (torch.int64, (48, 48)),
        "present": (torch.float32, (4,)),
        "fraction": (torch.float32, ()),
    }


def test_item_is_the_stored_slice(store):
    dataset = SliceDataset(store, "train")
    read = store.read(dataset.rows[3])
    assert np.array_equal(dataset[3]["image"], read.image)
    assert np.array_equal(dataset[3]["tumour"][0], read.tumour)


def test_batch_is_compact_until_it_is_unpacked(store):
    dataset = SliceDataset(store, "train")
    batch = dataset.__getitems__([2, 5])
    kinds = {k: v.dtype for k, v in batch.items() if isinstance(v, torch.Tensor)}
    assert kinds == {"image": torch.float16, "mask": torch.uint8}
    unpacked = as_floats(batch)
    assert torch.equal(unpacked["image"][1], dataset[5]["image"])


def test_fraction_is_tumour_over_brain(store):
    for item in SliceDataset(store, "val"):
        assert item["fraction"] == pytest.approx(float(item["tumour"].sum() / item["brain"].sum()))


def test_mirrored_draw_turns_left_and_right_in_all_maps(store):
    dataset = SliceDataset(store, "train")
    mirrored = as_floats(dataset.__getitems__([Draw(7, 2, True, ALL)]))
    for key in ("image", "tumour", "brain"):
        assert torch.equal(mirrored[key][0], dataset[2][key].flip(-1))


def test_contrast_that_is_left_out_is_background_and_said_to_be_absent(store):
    dataset = SliceDataset(store, "train")
    batch = as_floats(dataset.__getitems__([Draw(7, 2, False, (True, False, True, True))]))
    assert (batch["image"][0, 1] == -1).all()
    assert torch.equal(batch["image"][0, [0, 2, 3]], dataset[2]["image"][[0, 2, 3]])
    assert batch["present"].tolist() == [[1, 0, 1, 1]]


def test_batch_carries_the_numbers_of_its_draws(store):
    dataset = SliceDataset(store, "train")
    assert dataset.__getitems__([Draw(70, 2, False, ALL), Draw(71, 2, False, ALL)])["draw"] == [
        70, 71,
    ]  # fmt: skip


def test_contrast_that_the_visit_lacks_stays_absent(store):
    dataset = SliceDataset(store, "train")
    dataset.rows[2] = replace(dataset.rows[2], present=(True, True, False, False))
    batch = dataset.__getitems__([2, Draw(7, 2, False, (False, False, True, True))])
    assert batch["present"] == [[True, True, False, False]] * 2
