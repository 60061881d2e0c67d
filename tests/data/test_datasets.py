from __future__ import annotations

import numpy as np
import pytest
import torch

from mechlearn.data.datasets import SliceDataset, balanced_sampler


def test_item_has_the_documented_shapes(store):
    item = SliceDataset(store, "train")[0]
    assert {k: (v.dtype, tuple(v.shape)) for k, v in item.items()} == {
        "image": (torch.float32, (4, 48, 48)),
        "tumour": (torch.float32, (1, 48, 48)),
        "brain": (torch.float32, (1, 48, 48)),
        "fraction": (torch.float32, ()),
    }


def test_item_is_the_stored_slice(store):
    dataset = SliceDataset(store, "train")
    read = store.read(dataset.rows[3])
    assert np.array_equal(dataset[3]["image"], read.image)
    assert np.array_equal(dataset[3]["tumour"][0], read.tumour)


def test_fraction_is_tumour_over_brain(store):
    for item in SliceDataset(store, "val"):
        assert item["fraction"] == pytest.approx(float(item["tumour"].sum() / item["brain"].sum()))


def test_contrasts_are_taken_in_the_order_asked(store):
    whole = SliceDataset(store, "train")[2]["image"]
    some = SliceDataset(store, "train", contrasts=["t2f", "t1n"])[2]["image"]
    assert torch.equal(some, whole[[3, 0]])


def test_unknown_contrast_is_named(store):
    with pytest.raises(ValueError, match="contrasts='adc'"):
        SliceDataset(store, "train", contrasts=["adc"])


def test_flip_mirrors_left_and_right_in_all_maps(store):
    plain, mirrored = SliceDataset(store, "train")[2], None
    dataset = SliceDataset(store, "train", flip=True)
    for seed in range(20):
        torch.manual_seed(seed)
        item = dataset[2]
        if not torch.equal(item["image"], plain["image"]):
            mirrored = item
    assert mirrored is not None
    for key in ("image", "tumour", "brain"):
        assert torch.equal(mirrored[key], plain[key].flip(-1))


def test_flip_follows_torch_seed(store):
    dataset = SliceDataset(store, "train", flip=True)
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        runs.append([dataset[i]["image"] for i in range(8)])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_balanced_draws_have_the_share_asked(store):
    dataset = SliceDataset(store, None)
    fractions = [dataset.rows[i].tumour_fraction for i in balanced_sampler(dataset, 0.25, seed=0)]
    n = len(fractions)
    assert n == len(dataset)
    assert np.mean(np.array(fractions) > 0) == pytest.approx(0.25, abs=3 * np.sqrt(0.19 / n))


def test_balanced_draws_are_the_same_on_every_rank(store):
    dataset = SliceDataset(store, "train")
    ranks = [list(balanced_sampler(dataset, 0.5, seed=4)) for _ in range(2)]
    assert ranks[0] == ranks[1]


def test_balanced_draws_differ_between_epochs(store):
    sampler = balanced_sampler(SliceDataset(store, "train"), 0.5, seed=4)
    assert list(sampler) != list(sampler)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_impossible_share_is_refused(store, share):
    with pytest.raises(ValueError, match="tumour_share"):
        balanced_sampler(SliceDataset(store, "train"), share, seed=0)


def test_balance_needs_both_kinds(store):
    dataset = SliceDataset(store, "train")
    dataset.rows = [r for r in dataset.rows if r.tumour_fraction > 0]
    with pytest.raises(ValueError, match="needs both kinds"):
        balanced_sampler(dataset, 0.5, seed=0)
