"""The picture of the README: patients with their growth map and drawn scans, a row each.

python examples/demo_picture.py docs/demo.png +60 BraTS2021_01476 sample/visits.csv

A patient is the folder of one visit or the table of several.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import mechlearn as ml
from mechlearn.report.slice_pictures import brain_window, contour, show
from mechlearn.report.style import SKY, VERMILION, new_figure, save

QUANTILES = (0.5, 0.9)
FAINT = 0.05  # probabilities up to this are not drawn


def main(out: str, day: str, *sources: str) -> None:
    """Forecast each patient and draw its middle tumour slice."""
    figure = new_figure(9.0, 2.75 * len(sources))
    axes = figure.subplots(len(sources), 4, squeeze=False)
    for row, source in zip(axes, sources, strict=True):
        folder = Path(source).is_dir()
        patient = ml.Patient.from_folder(source) if folder else ml.Patient.from_csv(source)
        result = ml.forecast(patient, day)
        drawn = result.draw(count=3, quantiles=QUANTILES)
        z = sorted(drawn.drawn)[1]
        scan, placement = drawn.scans[z], drawn.visit.placement
        flair, window = scan.contrasts.index("t2f"), brain_window(scan.brain)
        probability = placement.values(result.growth_map.probability[z])
        for ax in row:
            show(ax, scan.image[flair], window=window)
        alpha = np.where(probability > FAINT, 0.35 + 0.5 * probability, 0.0)
        row[1].imshow(probability[window], cmap="inferno", vmin=0, vmax=1, alpha=alpha[window])
        for ax, q in zip(row[2:], QUANTILES, strict=True):
            picture = drawn.drawn[z][q]
            show(ax, picture.image[flair], window=window)
            contour(ax, picture.labels > 0, colour=VERMILION, window=window)
        contour(row[0], scan.tumour, colour=SKY, window=window)
        row[0].text(0.02, 0.02, patient.name, transform=row[0].transAxes, color="white", fontsize=7)
    titles = ("last FLAIR scan", f"growth map, {day} days", "drawn, median volume",
              "drawn, 90% quantile")  # fmt: skip
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    save(figure, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
