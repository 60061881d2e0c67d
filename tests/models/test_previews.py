"""Panels and their pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mechlearn.models.panels import COLOURS, TITLE, Picture, as_wandb, draw_panel

SIZE = 160


@pytest.fixture
def disc() -> np.ndarray:
    y, x = np.indices((SIZE, SIZE))
    return np.hypot(y - 80, x - 80) < 30


def painted(panel: np.ndarray, name: str) -> np.ndarray:
    return (panel == COLOURS[name][0]).all(2)


def test_mask_is_drawn_as_its_rim(disc: np.ndarray) -> None:
    image = torch.zeros(SIZE, SIZE)
    panel = np.asarray(draw_panel([[Picture(image, "", masks={"expert": disc})]]))
    rim = painted(panel[TITLE : TITLE + SIZE, :SIZE], "expert")
    assert rim.any()
    assert not (rim & ~disc).any()
    assert not rim[75:85, 75:85].any()


def test_mask_at_the_border_has_its_rim_there() -> None:
    whole = np.ones((SIZE, SIZE), bool)
    picture = Picture(torch.zeros(SIZE, SIZE), "", masks={"guide": whole})
    rim = painted(np.asarray(draw_panel([[picture]]))[TITLE : TITLE + SIZE, :SIZE], "guide")
    assert rim.sum() == 4 * (SIZE - 1)


def test_small_images_are_enlarged() -> None:
    small, large = (draw_panel([[Picture(torch.zeros(n, n), "")]]) for n in (32, SIZE))
    assert small.size == large.size


def test_titles_and_captions_are_written() -> None:
    image = -torch.ones(SIZE, SIZE)
    bare = np.asarray(draw_panel([[Picture(image, "")]]))
    told = np.asarray(draw_panel([[Picture(image, "scan", "tumour 3.0%")]]))
    assert bare.max() == 0
    assert told[:TITLE].max() > 0
    assert told[TITLE + SIZE :].max() > 0


def test_wandb_gets_every_mask_with_its_name(disc: np.ndarray) -> None:
    pytest.importorskip("wandb")
    masks = {"measured": disc, "guide": ~disc}
    picture = Picture(torch.zeros(SIZE, SIZE), "2 x the size", "asked 4.0%", masks)
    (image,) = as_wandb([picture], what="slice 1")
    assert image._caption == "slice 1, 2 x the size, asked 4.0%"
    assert set(image._masks) == {"measured", "guide"}
