"""Images with masks, joined into a panel for a file, or as single images for W&B."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

__all__ = ["COLOURS", "Picture", "as_mask", "as_wandb", "draw_panel"]

# Kind of mask -> colour of its outline, and its name.
COLOURS = {
    "expert": ((255, 80, 80), "tumour, expert"),
    "guide": ((64, 224, 255), "tumour, by the guide"),
    "measured": ((255, 224, 64), "tumour, measured by FLAIR threshold"),
}
CELL = 160  # pixels: smaller images are enlarged to about this
TITLE, GAP = 15, 2  # pixels


@dataclass(frozen=True)
class Picture:
    """One image of a panel.

    Attributes:
        image: (H, W) in [-1, 1].
        title: of its column.
        caption: of the image: sizes, in per cent of the brain.
        masks: (H, W) bool, by key of COLOURS.
    """

    image: Tensor
    title: str
    caption: str = ""
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def grey(self) -> np.ndarray:
        """uint8 (H, W)."""
        return ((self.image.float().cpu().clamp(-1, 1) + 1) * 127.5).byte().numpy()


def _rim(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask with a neighbour outside it."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inner &= padded[rows : rows + mask.shape[0], columns : columns + mask.shape[1]]
    return mask & ~inner


def _cell(picture: Picture, times: int) -> np.ndarray:
    """Enlarged image with a thin outline for each mask, uint8 (H, W, 3)."""
    ones = np.ones((times, times), np.uint8)
    cell = np.repeat(np.kron(picture.grey, ones)[..., None], 3, axis=2)
    for name, mask in picture.masks.items():
        cell[_rim(np.kron(mask.astype(np.uint8), ones) > 0)] = COLOURS[name][0]
    return cell


def draw_panel(rows: Sequence[Sequence[Picture]]) -> Image.Image:
    """Rows of images of one size, titles above the columns, captions below the images."""
    height, width = rows[0][0].grey.shape
    times = max(1, round(CELL / width))
    tall, wide = height * times + TITLE + GAP, max(width * times, CELL) + GAP
    legend = [name for name in COLOURS if any(name in p.masks for row in rows for p in row)]
    columns = max(len(row) for row in rows)
    panel = Image.new("RGB", (columns * wide, TITLE * (1 + bool(legend)) + len(rows) * tall))
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(11)
    for j, picture in enumerate(rows[0]):
        draw.text((j * wide + 2, 1), picture.title, font=font, fill="white")
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            x, y = j * wide, TITLE + i * tall
            panel.paste(Image.fromarray(_cell(picture, times)), (x, y))
            place = (x + 2, y + height * times + 1)
            draw.text(place, picture.caption, font=font, fill=(200, 200, 200))
    x = 2
    for name in legend:
        colour, words = COLOURS[name]
        draw.text((x, panel.height - TITLE), words, font=font, fill=colour)
        x += int(draw.textlength(words, font=font)) + 12
    return panel


def as_wandb(row: Sequence[Picture], *, what: str) -> list[Any]:
    """The images as `wandb.Image`, with masks that can be switched on and off.

    Args:
        row: the images.
        what: start of each caption: the slice.
    """
    import wandb

    return [
        wandb.Image(
            Image.fromarray(picture.grey),
            caption=", ".join(filter(None, (what, picture.title, picture.caption))),
            masks={
                name: {"mask_data": mask.astype(np.uint8), "class_labels": {1: COLOURS[name][1]}}
                for name, mask in picture.masks.items()
            },
        )
        for picture in row
    ]


def as_mask(values: Tensor) -> np.ndarray:
    """(H, W) bool on the CPU."""
    return np.asarray(values.detach().to("cpu", torch.float32).numpy() > 0.5)
