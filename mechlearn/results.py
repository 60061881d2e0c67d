"""What a forecast gives back: sizes, maps, drawn scans, files and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mechlearn import records
from mechlearn.evaluation.volume_forecast import LEVELS, VolumeForecast
from mechlearn.extras import explained

if TYPE_CHECKING:
    from mechlearn.evaluation.forecast_scans import DrawnScans

__all__ = ["Forecast", "GrowthMap"]


@dataclass(frozen=True, eq=False)
class GrowthMap(records.GrowthMap):
    """A growth map (Z, H, W) in canonical order that knows the voxel grid of its scan."""

    affine: np.ndarray = field(default_factory=lambda: np.eye(4))

    def to_nifti(self, path: str | Path) -> Path:
        """Write the probability on the scan's own voxel grid and affine, float32."""
        from mechlearn.data.nifti import save_volume

        return save_volume(self.probability, self.affine, path)


@dataclass(frozen=True, eq=False)
class Forecast:
    """The forecast of one patient; `details` holds every array behind it."""

    details: VolumeForecast

    @property
    def size(self) -> records.SizeForecast:
        """Forecast volume in mm3: `.median`, `.interval(0.95)`, `.survival(x)`."""
        return self.details.size

    @property
    def series(self) -> records.SizeSeries:
        """Measured volumes in mm3."""
        return self.details.series

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader has to know, in sentences."""
        return self.details.warnings

    @property
    def growth_map(self) -> GrowthMap:
        """P(voxel is tumour on the day); ValueError where only sizes are known."""
        made, scan = self.details.growth_map, self.details.scan
        if made is None or scan is None:
            self.details.mask()  # says what is missing
            raise AssertionError("unreachable")
        values = {f.name: getattr(made, f.name) for f in fields(records.GrowthMap)}
        return GrowthMap(**values, affine=scan.affine)

    def mask(self, probability: float = 0.5) -> np.ndarray:
        """Voxels that are tumour with at least this probability, (Z, H, W) bool."""
        return self.details.mask(probability)

    def table(self) -> list[dict[str, object]]:
        """Rows of quantity, value and unit."""
        return self.details.table()

    def to_nifti(self, folder: str | Path, *, levels: Sequence[float] = LEVELS) -> list[Path]:
        """Write growth map, arrival map and masks into a folder; see `VolumeForecast.write`."""
        return list(self.details.write(folder, levels=levels).values())

    def draw(
        self,
        *,
        count: int = 3,
        quantiles: Sequence[float] = (0.5, 0.9),
        checkpoint: str | Path = "demo",
        seed: int = 0,
    ) -> DrawnScans:
        """Draw tumour slices as they may look on the day; needs `mechlearn[diffusion]`.

        Args:
            count: slices, equally spaced over the present tumour.
            quantiles: of the forecast volume.
            checkpoint: denoiser that draws under labels; `demo` is the packaged one.
            seed: of the noise.

        Returns:
            Pictures with verdicts; `.write(folder)` writes NIfTI, `.problems` says what is wrong.
        """
        with explained():
            from mechlearn.evaluation.forecast_scans import draw_scans
            from mechlearn.evaluation.scan_drawing import load_drawer

        model = load_drawer(checkpoint)
        return draw_scans(
            self.details, model=model, count=count, quantiles=quantiles, seed=seed
        )

    def report(
        self, path: str | Path, *, drawn: DrawnScans | None = None, commands: Sequence[str] = ()
    ) -> Path:
        """Write one self-contained HTML page, with drawn scans where they are given."""
        with explained():
            from mechlearn.report.volume_page import write_volume_page

        d = self.details
        scan = None if d.scan is None else dict(zip(d.contrasts, d.scan.volumes, strict=True))
        return write_volume_page(
            path, patient=d.patient.name, series=d.series, size=d.size, growth_map=d.growth_map,
            scan=scan, present=None if d.arrival is None else d.arrival.present,
            brain=None if d.scan is None else d.scan.brain, rows=d.table(),
            warnings=[*d.warnings, *(drawn.problems if drawn is not None else [])],
            pictures=_pictures(drawn) if drawn is not None else [], commands=commands,
        )  # fmt: skip


def _pictures(drawn: DrawnScans) -> list[Any]:
    """One picture a drawn slice, for the page."""
    from mechlearn.report.drawn_figure import drawn_figure
    from mechlearn.report.page import Picture
    from mechlearn.report.style import png

    out = []
    for z, row in drawn.drawn.items():
        shown = {q: (p.image, p.labels, p.verdict.is_good) for q, p in row.items()}
        words = " ".join(f"{q:.0%} quantile: {p.verdict.words}" for q, p in row.items())
        caption = (
            f"Slice z={z}: the last scan, and the scan drawn for quantiles of the forecast volume. "
            f"Blue: tumour of the last visit; red: tumour that was drawn. {words}"
        )
        alt = f"Slice {z} of the last scan beside drawn future scans"
        out.append(Picture(png(drawn_figure(drawn.scans[z], shown)), caption, alt=alt))
    return out
