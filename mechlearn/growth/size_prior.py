"""Size prior: a forecast of sizes whose parameters are learned from a cohort.

It mixes two members: the residual model (growth model, history, covariates -> change of the log
size) and the cohort ratio. The weight of the mixture comes from scores on held-out patients, its
calibration from their ranks. All quantiles are exact: they use no random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.checks import one_of
from mechlearn.file_entries import FileEntries
from mechlearn.files import write_json
from mechlearn.growth.cohort_ratio import CohortRatio
from mechlearn.growth.gompertz_diffusion import GompertzDiffusion
from mechlearn.growth.growth_spec import LEARNED
from mechlearn.growth.quantiles import LEVELS, mixture
from mechlearn.growth.residual_model import LEVELS as ERROR_LEVELS
from mechlearn.growth.residual_model import ResidualModel
from mechlearn.growth.series_checks import check_dates
from mechlearn.growth.size_history import FEATURES, History
from mechlearn.records import SizeForecast, SizeSeries
from mechlearn.records.sizes import UNITS

__all__ = ["BASELINES", "MECHANISTIC", "SizePrior"]

BASELINES = ("cohort_ratio", "carry_forward")
MECHANISTIC = ("gompertz_change", "gompertz_spread")  # features in addition to `FEATURES`
NEAREST_SLOW = 0.3  # log units; for tumours with an IDH mutation or a grade below 4
USUAL_ZERO = 0.3  # prior mean of `zero_stays`, which depends on the segmentation method
HEADROOM = 1.5  # upper limit of forecasts, in units of the largest size of cohort and series
_FORMAT, _VERSION = "mechlearn size prior", 1
_MOST_LOG = 100.0  # of a change of the logarithm of a size
_KEY = "growth.population"
_REMEDY = (
    "Make one with `python -m mechlearn.evaluate +experiment=population growth=learned "
    "task.series=sizes.csv`."
)
_PAST_POINTS, _FUTURE_POINTS = 16, 24


@dataclass(frozen=True)
class SizePrior:
    """Parameters of a learned size forecast.

    Attributes:
        unit: of the sizes.
        floor, companion_floor: sizes added before a logarithm is taken.
        ceiling: largest size of the cohort.
        gompertz: growth model.
        residual: learned change of the log size.
        ratio: cohort ratio, the baseline and second member of the mixture.
        weight: of the residual model in the mixture.
        ranks: calibration: levels of the mixture that are read at `LEVELS`.
        nearest: the distribution is shifted so that its median moves towards "no change" by this
            amount (log units), at most to it; at least by `NEAREST_SLOW` for slow tumours.
        zero_stays: share of readings of 0 that are followed by another 0.
        features: which of `FEATURES` and `MECHANISTIC` are used.
        about: cohort, numbers of patients and readings, source, held-out scores.
        name: name of the forecast: `learned` or one of `BASELINES`.
    """

    unit: str
    floor: float
    companion_floor: float
    ceiling: float
    gompertz: GompertzDiffusion
    residual: ResidualModel
    ratio: CohortRatio
    weight: float
    ranks: np.ndarray
    nearest: float
    zero_stays: float
    features: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    name: str = LEARNED

    def baseline(self, name: str) -> SizePrior:
        """A baseline from the same cohort: `cohort_ratio`, or `carry_forward` with the cohort's
        intervals."""
        one_of("baseline", name, BASELINES)
        ratio = self.ratio.centred if name == "carry_forward" else self.ratio
        return replace(self, ratio=ratio, weight=0.0, ranks=LEVELS, nearest=0.0, name=name)

    def forecast(self, series: SizeSeries, day: float) -> SizeForecast:
        """Distribution of the size on `day`, from the readings strictly before it.

        Args:
            series: in the unit of the prior; see `learned_forecast.forecast_size` for slices.
            day: days since the patient's first visit.

        Raises:
            ValueError: no visit before `day`; another unit; a value that `check_dates` refuses.
        """
        check_dates(series, day)
        if series.unit != self.unit:
            raise ValueError(
                f"series {series.name}: unit={series.unit}; this prior needs {self.unit}. "
                "Give sizes in that unit, or fit a prior to series in your unit."
            )
        history = History.of(series.before(day))
        last = float(history.days[-1])
        ahead = last + (day - last) * np.linspace(0, 1, _FUTURE_POINTS + 1)[1:]
        later = self.sizes(history, ahead)
        past = np.linspace(history.days[0], last, _PAST_POINTS if last > history.days[0] else 1)
        seen = np.interp(past, history.days, history.sizes)
        curves = np.concatenate([np.broadcast_to(seen, (LEVELS.size, seen.size)), later.T], axis=1)
        return SizeForecast(
            name=series.name, day=float(day), samples=later[-1].copy(),
            curve_days=np.concatenate([past, ahead]), curves=curves, law=self.name,
            population=self.describe(), unit=self.unit,
            weights={LEARNED: self.weight, "cohort_ratio": 1 - self.weight} if self.weight else {},
        )  # fmt: skip

    def describe(self) -> str:
        """The prior in one line: cohort and number of patients."""
        about = self.about
        return f"{about.get('cohort', 'unnamed cohort')}, {about.get('n_patients', '?')} patients"

    def sizes(self, history: History, days: np.ndarray) -> np.ndarray:
        """Equally likely sizes (T, L), ascending, on days (T,) after the last visit."""
        changes = self.changes(history, history.days.size, days)
        last = math.log(history.sizes[-1] + self.floor)
        limit = HEADROOM * max(self.ceiling, float(history.sizes.max()))
        sizes = np.exp(np.minimum(last + changes, 300.0)) - self.floor
        sizes = np.clip(sizes, 0.0, limit)
        return self._unseen(sizes) if history.sizes[-1] == 0 else sizes

    def _unseen(self, sizes: np.ndarray) -> np.ndarray:
        """After a reading of 0: set the probability of another 0 to at least `zero_stays`."""
        none = round(self.zero_stays * LEVELS.size)
        if self.name != LEARNED or none == LEVELS.size:
            return sizes if self.name != LEARNED else np.zeros_like(sizes)
        levels = (np.arange(LEVELS.size - none) + 0.5) / (LEVELS.size - none)
        return np.array([
            np.concatenate([np.zeros(none), np.quantile(row[row > 0], levels)])
            if (row <= 0).sum() < none else row for row in sizes
        ])  # fmt: skip

    def changes(self, history: History, n: int, days: np.ndarray) -> np.ndarray:
        """Equally likely changes of the log size (T, L), ascending, from the first n readings."""
        rows = feature_rows(history, n, days, self.floor, self.companion_floor, self.gompertz)
        learned = self.residual.changes(rows[:, columns(self.features)], LEVELS)
        return np.stack([self.mixed(row, self.ratio.changes, slow=history.slow) for row in learned])

    def mixed(self, learned: np.ndarray, ratio: np.ndarray, *, slow: bool) -> np.ndarray:
        """Ascending changes (L,) of the mixture of both members (L,), calibrated."""
        mixed = mixture([learned, ratio], [self.weight, 1 - self.weight])
        mixed = np.interp(self.ranks, LEVELS, mixed)
        middle = float(np.median(mixed))
        most = max(self.nearest, NEAREST_SLOW) if slow and self.name == LEARNED else self.nearest
        return mixed - math.copysign(min(abs(middle), most), middle)

    def save(self, path: str | Path) -> Path:
        """Write as JSON: parameters only, no patient's row."""
        write_json(Path(path), self.plain())
        return Path(path)

    def plain(self) -> dict[str, Any]:
        """All attributes as JSON values; log ratios are rounded to 0.01."""
        return {
            "format": _FORMAT, "version": _VERSION, "unit": self.unit, "about": dict(self.about),
            "floor": _short(self.floor), "companion_floor": _short(self.companion_floor),
            "ceiling": float(f"{self.ceiling:.2g}"), "weight": _short(self.weight),
            "nearest": self.nearest, "zero_stays": round(self.zero_stays, 2),
            "features": list(self.features),
            "gompertz": {k: _short(v) for k, v in vars(self.gompertz).items()},
            "residual": self.residual.plain(),
            "ratio": [round(float(v), 2) for v in self.ratio.changes],
            "ranks": [round(float(v), 4) for v in self.ranks],
        }  # fmt: skip

    @classmethod
    def of(cls, held: Mapping[str, Any], *, source: str) -> SizePrior:
        """From the result of `plain`; a ValueError that names `source` for other content."""
        file = FileEntries.of(held, f"{_KEY}={source}", _REMEDY)
        file.equal("format", _FORMAT)
        file.equal("version", _VERSION)
        file.only("format", "version", "unit", "about", "floor", "companion_floor", "ceiling",
                  "weight", "nearest", "zero_stays", "features", "gompertz", "residual", "ratio",
                  "ranks")  # fmt: skip
        features = file.words("features")
        if not features:
            raise file.wrong("features", [], "must name one at least")
        for name in features:
            if name not in (*FEATURES, *MECHANISTIC):
                raise file.wrong("features", name, "is not a feature of this version")
        return cls(
            file.choice("unit", UNITS), file.number("floor", 0, above=True),
            file.number("companion_floor", 0, above=True), file.number("ceiling", 0, above=True),
            _gompertz(file.section("gompertz")), _residual(file.section("residual"), len(features)),
            CohortRatio(file.numbers("ratio", LEVELS.shape, -_MOST_LOG, _MOST_LOG, ascending=True)),
            file.number("weight", 0, 1), file.numbers("ranks", LEVELS.shape, 0, 1, ascending=True),
            file.number("nearest", 0, 1),
            file.number("zero_stays", 0, 1) if "zero_stays" in file.held else USUAL_ZERO,
            features, file.section("about").held,
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> SizePrior:
        """Read a file that `save` wrote."""
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"growth.population={path}: no such file.")
        return cls.of(FileEntries.read(path, key=_KEY, remedy=_REMEDY).held, source=str(path))


def _gompertz(file: FileEntries) -> GompertzDiffusion:
    names = [f.name for f in fields(GompertzDiffusion)]
    file.only(*names)
    low = {"log_capacity": -math.inf}
    return GompertzDiffusion(**{n: file.number(n, low.get(n, 0.0), above=True) for n in names})


def _residual(file: FileEntries, n: int) -> ResidualModel:
    file.only(*(f.name for f in fields(ResidualModel)))
    return ResidualModel(
        file.numbers("middle", (n,)), file.numbers("centre", (n,)),
        file.numbers("width", (n,), 0, above=True), file.numbers("location", (n + 1,)),
        file.numbers("scale", (n + 1,)),
        file.numbers("quantiles", ERROR_LEVELS.shape, -_MOST_LOG, _MOST_LOG, ascending=True),
    )  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def columns(features: Sequence[str]) -> list[int]:
    """Column indices of features in `feature_rows`."""
    return [(*FEATURES, *MECHANISTIC).index(name) for name in features]


def feature_rows(
    history: History, n: int, days: np.ndarray, floor: float, companion_floor: float,
    gompertz: GompertzDiffusion,
) -> np.ndarray:
    """Features (T, F) of forecasts to days (T,); the growth model's come last."""
    seen, logs = history.days[:n], np.log(history.sizes[:n] + floor)
    rows = []
    for day in days:
        plain = history.features(n, float(day), floor=floor, companion_floor=companion_floor)
        middle, width = gompertz.predict(seen, logs, float(day))
        rows.append(np.concatenate([plain, [middle - logs[-1], width]]))
    return np.array(rows)
