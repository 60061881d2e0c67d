"""Results of a forecast: sizes, maps, drawn scans, files and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mechlearn import records
from mechlearn.evaluation.volume_forecast import LEVELS, VolumeForecast
from mechlearn.extras import explained

if TYPE_CHECKING:
    from mechlearn.evaluation.forecast_scans import DrawnScans
    from mechlearn.evaluation.treatment_change import CourseChange
    from mechlearn.evaluation.volume_what_if import VolumeWhatIf
    from mechlearn.growth.growth_spec import GrowthSpec

__all__ = ["Forecast", "GrowthMap", "WhatIf"]

ML = 1000.0  # mm3


@dataclass(frozen=True, eq=False)
class GrowthMap(records.GrowthMap):
    """A growth map (Z, H, W) in canonical order, with the voxel grid of its scan."""

    affine: np.ndarray = field(default_factory=lambda: np.eye(4))

    def to_nifti(self, path: str | Path) -> Path:
        """Write the probability on the scan's own voxel grid and affine, float32."""
        from mechlearn.data.nifti import save_volume

        return save_volume(self.probability, self.affine, path)


@dataclass(frozen=True, eq=False)
class Forecast:
    """The forecast of one patient; `details` has all arrays.

    truth: the held-out visit on the day of the forecast, or None.
    truth_mask: its tumour on the grid of the last scan, (Z, H, W) bool; None without such a visit
    or on another grid.
    """

    details: VolumeForecast
    truth: records.SizeReading | None = None
    truth_mask: np.ndarray | None = None

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
        """Warnings about the data and the forecast, one sentence each."""
        return self.details.warnings

    @property
    def growth_map(self) -> GrowthMap:
        """P(voxel is tumour on the day); ValueError if only sizes are known."""
        made, scan = self.details.growth_map, self.details.scan
        if made is None or scan is None:
            self.details.mask()  # raises an error that names what is missing
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
        keep: Path | None = None,
    ) -> DrawnScans:
        """Draw possible scans of tumour slices on the day; needs `mechlearn[diffusion]`.

        Args:
            count: number of slices, equally spaced over the present tumour.
            quantiles: quantiles of the forecast volume.
            checkpoint: label denoiser; `demo` is the packaged one.
            seed: seed of the noise.
            keep: folder for finished slices; an interrupted run continues from there.

        Returns:
            Drawn slices with verdicts; `.write(folder)` writes NIfTI, `.problems` lists faults.
        """
        with explained():
            from mechlearn.evaluation.forecast_scans import draw_scans
            from mechlearn.evaluation.scan_drawing import load_drawer

        model = load_drawer(checkpoint)
        return draw_scans(
            self.details, model=model, count=count, quantiles=quantiles, seed=seed, keep=keep
        )

    def what_if(
        self, *, growth: GrowthSpec | None = None, change: CourseChange | None = None,
        **changes: Any,
    ) -> WhatIf:
        """Counterfactual forecast with other radiotherapy; not evidence of a treatment effect.

        Args:
            growth: growth model of the counterfactual; see `volume_what_if`.
            change: the changed radiotherapy, or instead its fields as keywords:
            changes: `rt=False`, or `rt_start_day`, or `dose_gy` with `fractions`; `course` if
                there are several.

        Raises:
            ValueError: the courses, the visits or the growth model do not allow the change.
        """
        from mechlearn.evaluation.treatment_change import CourseChange
        from mechlearn.evaluation.volume_what_if import volume_what_if

        made = volume_what_if(self.details, change or CourseChange(**changes), growth=growth)
        return WhatIf(Forecast(made.details), made)

    def report(
        self, path: str | Path, *, later: Sequence[Forecast] = (), drawn: DrawnScans | None = None,
        what_if: WhatIf | None = None, commands: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write one self-contained HTML page.

        Args:
            path: the HTML file.
            later: forecasts of the same patient for later days.
            drawn: drawn scans of the last day.
            what_if: counterfactual of the last day.
            commands, settings: command lines that write the page again, and the settings.
        """
        with explained():
            from mechlearn.report.volume_page import write_volume_page

        every = [self, *later]
        d = every[-1].details
        return write_volume_page(
            path, patient=d.patient.name, series=d.series, sizes=[f.size for f in every],
            rows=[f.row() for f in every], truth=every[-1].truth,
            scan=_shown_scan(every, drawn, what_if),
            what_if=None if what_if is None else what_if.shown(drawn),
            warnings=[*d.warnings, *(drawn.problems if drawn is not None else [])],
            pictures=_pictures(drawn), drawn_sizes=drawn.sizes() if drawn is not None else [],
            made_with=_made_with(d, drawn), commands=commands, settings=settings,
        )  # fmt: skip

    def sections(self) -> list[float | None]:
        """Largest axial section in mm2 at the median and at both ends of the 95% interval."""
        return [self.details.section_mm2(v) for v in (self.size.median, *self.size.interval(0.95))]

    def row(self) -> dict[str, Any]:
        """One row of the page's table: heading -> figure of the day."""
        low, high = self.size.interval(0.95)
        sections = self.sections()
        out: dict[str, Any] = {
            "day": self.size.day, "median (ml)": f"{self.size.median / ML:.1f}",
            "95% interval (ml)": f"{low / ML:.1f} to {high / ML:.1f}",
        }  # fmt: skip
        if None not in sections:
            middle, small, large = (float(s) for s in sections if s is not None)
            out["largest axial section (mm²)"] = f"{middle:.0f} ({small:.0f} to {large:.0f})"
        last = self.series.visits[-1].size
        out["probability of growth"] = f"{self.size.survival(np.nextafter(last, np.inf)):.0%}"
        return out


@dataclass(frozen=True, eq=False)
class WhatIf:
    """A counterfactual forecast; `.change` is the changed treatment in words.

    Attributes:
        result: the forecast with the changed treatment.
        details: the counterfactual volumes and maps, with the factual forecast.
        drawn: drawn scans of the counterfactual, or None.
    """

    result: Forecast
    details: VolumeWhatIf
    drawn: DrawnScans | None = None

    @property
    def change(self) -> str:
        """The changed treatment, in words."""
        return self.details.change.change

    def with_drawn(self, drawn: DrawnScans | None) -> WhatIf:
        """A copy with drawn scans, for the page."""
        return replace(self, drawn=drawn)

    def shown(self, actual: DrawnScans | None) -> Any:
        """The section of the page, with drawn scans of the factual forecast."""
        from mechlearn.report.volume_page import ShownWhatIf

        return ShownWhatIf(
            self.details.change, self.details.origin, self.details.details.growth_map,
            _beside(actual, self.drawn, self.change),
        )  # fmt: skip


def _shown_scan(
    days: Sequence[Forecast], drawn: DrawnScans | None, what_if: WhatIf | None
) -> Any:
    """The last scan with its growth maps; None if only sizes are known."""
    from mechlearn.report.viewer import DrawnVolume
    from mechlearn.report.volume_page import ShownScan

    d = days[-1].details
    if d.scan is None or d.arrival is None:
        return None
    named = {"": drawn, "what if, ": None if what_if is None else what_if.drawn}
    volumes = [
        DrawnVolume(words + _quantile(q), made.volumes(q), tuple(made.drawn))
        for words, made in named.items() if made is not None for q in made.quantiles
    ]  # fmt: skip
    return ShownScan(
        dict(zip(d.contrasts, d.scan.volumes, strict=True)), d.arrival.present, d.scan.brain,
        d.scan.affine, [f.details.growth_map for f in days if f.details.growth_map is not None],
        volumes, days[-1].truth_mask,
    )  # fmt: skip


def _made_with(made: VolumeForecast, drawn: DrawnScans | None) -> dict[str, str]:
    """Part -> source and training data, for the page."""
    out = {
        "size": f"prior: {made.size.population or 'none, this patient alone'}",
        "place": "arrival map from the last segmentation, the brain and the contrasts, without "
        "training" if made.arrival is not None else "not forecast: only sizes are known",
    }  # fmt: skip
    if drawn is not None:
        card = drawn.model.card
        trained = card.get("trained_on", "data not named in its model card")
        out["drawn scans"] = (
            f"{Path(drawn.model.source).name} (weights {drawn.model.digest}), trained on {trained}"
        )
    return out


def _quantile(q: float) -> str:
    return "median volume" if q == 0.5 else f"{q:.0%} quantile"


def _pictures(drawn: DrawnScans | None) -> list[Any]:
    """One figure a drawn slice, for the page."""
    if drawn is None:
        return []
    return [
        _picture(drawn.scans[z], {_quantile(q): p for q, p in row.items()},
                 f"Slice z={z}. Blue: tumour of the last visit; red: tumour that was drawn.")
        for z, row in drawn.drawn.items()
    ]  # fmt: skip


def _beside(drawn: DrawnScans | None, other: DrawnScans | None, change: str) -> list[Any]:
    """The middle drawn slice at the median volume, factual and counterfactual."""
    if drawn is None or other is None:
        return []
    zs = sorted(set(drawn.drawn) & set(other.drawn))
    z = zs[len(zs) // 2]
    pair = {"actual": drawn.drawn[z][0.5], "what if": other.drawn[z][0.5]}
    words = f"Slice z={z} at the median volume: actual radiotherapy, and what if: {change}."
    words += " Red: tumour that was drawn."
    return [_picture(drawn.scans[z], pair, words)]


def _picture(scan: Any, drawn: Mapping[str, Any], caption: str) -> Any:
    from mechlearn.report.drawn_figure import drawn_figure
    from mechlearn.report.page import Picture
    from mechlearn.report.style import svg

    shown = {name: (p.image, p.labels, p.verdict.is_good) for name, p in drawn.items()}
    alt = f"Slice {scan.z} of the last scan beside drawn future scans"
    return Picture(svg(drawn_figure(scan, shown)), caption, alt=alt)
