"""Checkpoints that are damaged, of another program, or hostile: refused in one line."""

from __future__ import annotations

import io
import os
import pathlib
import pickle
import random
import zipfile

import pytest
import torch

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoint_files import CARD_KEY
from mechlearn.models.checkpoints import load_denoiser, make_card
from mechlearn.models.network_targets import build_network
from mechlearn.models.torch_files import read_torch, write_torch

NETWORK = {"_target_": "mechlearn.models.networks.Denoiser", "channels": [16, 32],
           "attention_levels": [False, True], "num_res_blocks": 1, "norm_num_groups": 8}
DATA = {"contrasts": ["t1n", "t1c", "t2w", "t2f"], "size": 16, "pixel_mm": 1.5, "intensity": {}}


def saved(**changes: object) -> bytes:
    card = make_card("ddpm", NETWORK, NoiseSchedule(), DATA)
    weights = build_network(NETWORK).state_dict()
    buffer = io.BytesIO()
    torch.save({CARD_KEY: card, "state_dict": weights} | changes, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def whole() -> bytes:
    return saved()


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


def card(**changes: object) -> dict[str, object]:
    return make_card("ddpm", NETWORK, NoiseSchedule(), DATA) | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"no checkpoint at all\n" * 9, "not a torch file"),
        (pickle.dumps(Evil()), "cannot be read|could run code"),
        ({"hparams": pathlib.PurePosixPath("x")}, "could run code"),
        ({"state_dict": {}}, "has no 'mechlearn' card"),
        ([1, 2], "has no 'mechlearn' card"),
        ({CARD_KEY: None}, "card: must be a JSON object"),
        ({CARD_KEY: card(data={})}, "card: data.contrasts=None: is missing"),
        ({CARD_KEY: card(gain=float("nan"))}, "card: gain=nan: must be a finite number above 0"),
        ({CARD_KEY: card()}, "its weights do not match"),
        ({CARD_KEY: card(), "state_dict": {"a": torch.tensor(float("nan"))}}, "a holds NaN"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content, message):
    path = tmp_path / "x.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=message) as caught:
        load_denoiser(path)
    assert str(path) in str(caught.value)
    assert not pathlib.Path("executed").exists()


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_file_is_named(tmp_path, whole, share):
    path = tmp_path / "x.pt"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"x\.pt: cannot be read \(it"):
        load_denoiser(path)


def test_each_flipped_bit_of_the_weights_is_named(tmp_path, whole):
    path, draw = tmp_path / "x.pt", random.Random(0)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = [m for m in archive.infolist() if m.compress_size]
    for member in draw.choices(members, [m.compress_size for m in members], k=60):
        start = whole.index(member.filename.encode()) + 64  # behind the header, its name aligned
        damaged = bytearray(whole)
        damaged[start + draw.randrange(member.compress_size)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.pt: cannot be read"):
            read_torch(path)


def test_equal_content_gives_equal_bytes(tmp_path):
    content = {"a": torch.arange(9.0), "b": 1}
    first, second = (write_torch(tmp_path / name, content) for name in ("a.pt", "b.pt"))
    assert first.read_bytes() == second.read_bytes()


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    path = write_torch(tmp_path / "a.pt", [1])
    before = path.read_bytes()

    def no_space(*_):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", no_space)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.pt"):
        write_torch(path, [2])
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])
