"""A flipped bit in a file of the slice store is named, never read as another number."""

from __future__ import annotations

import random

import numpy as np
import pytest

from mechlearn.data.slices import SliceFile, write_slice_file
from mechlearn.files import read_json, write_json

CHANNELS, PIXELS = 2, 24


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, CHANNELS, PIXELS, PIXELS)).astype(np.float16)
    brain = rng.random((5, PIXELS, PIXELS)) > 0.5
    return images, brain.astype(np.uint8), brain


def read_all(path) -> np.ndarray:
    file = SliceFile(path)
    out = np.empty((file.count, CHANNELS, PIXELS, PIXELS), np.float16)
    masks = np.empty((file.count, PIXELS, PIXELS), np.uint16)
    for row in range(file.count):
        file.image(row, out[row])
        file.masks(row, masks[row])
    return out


def test_each_flipped_bit_of_slices_is_named_or_changes_nothing(tmp_path, arrays):
    path, draw = tmp_path / "slices.b2nd", random.Random(0)
    write_slice_file(path, *arrays)
    whole, named = path.read_bytes(), 0
    assert np.array_equal(read_all(path), arrays[0])
    for k in range(60):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        other = tmp_path / f"{k}.b2nd"  # a mapped file is not written over
        other.write_bytes(damaged)
        try:
            same = np.array_equal(read_all(other), arrays[0])
        except ValueError as error:
            named += str(other) in str(error)
        else:
            assert same  # a byte of the format that no number depends on
    assert named >= 58


def test_a_damaged_slice_is_named_with_its_number(tmp_path, arrays):
    path = tmp_path / "slices.b2nd"
    write_slice_file(path, *arrays)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"slices\.b2nd: .*slice 2 is not the one that was writ"):
        read_all(path)


@pytest.mark.parametrize("indent", [None, 1])
def test_each_flipped_bit_of_a_card_is_named(tmp_path, indent):
    card = {"grid": {"offset": [3, 4], "affine": [1.5, 0.0]}, "record": {"patient": "Müller"}}
    path = tmp_path / "visit.json"
    write_json(path, card, indent=indent, digest=True)
    assert read_json(path, digest=True) == card
    whole = path.read_bytes()
    for at in range(whole.index(b"crc32") - 3):
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"visit\.json"):
                read_json(path, digest=True)
