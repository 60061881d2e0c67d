"""The type of a growth model: parameters with units, bounds and start values, and a formula."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mechlearn.checks import one_of
from mechlearn.growth.treatment import Courses
from mechlearn.records import Radiotherapy

__all__ = ["RADIOSENSITIVITY", "GrowthModel", "Parameter", "Params", "Relative", "Values"]

Params = Mapping[str, "float | np.ndarray"]
Values = Mapping[str, Any]  # arrays, or Duals for derivatives
Relative = Callable[[np.ndarray, Values, Courses], Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a growth model: unit, bounds, start value and scale of a fit.

    `scale="log"` fits the logarithm (for rates and times). `width` is the typical distance of a
    value from the start on that scale; extra starts and the ridge penalty use it. `after_rt` marks
    parameters that only visits after the start of radiotherapy inform.
    """

    name: str
    unit: str
    low: float
    high: float
    start: float
    scale: Literal["linear", "log"] = "linear"
    width: float = 1.0
    after_rt: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"bounds of {self.name}=[{self.low:g}, {self.high:g}]: must be finite, low below "
                "high. Correct growth.bounds."
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(
                f"bounds of {self.name}=[{self.low:g}, {self.high:g}]: low must be positive, the "
                "parameter is fitted on a log scale. Use a small positive number in growth.bounds."
            )
        if not self.low < self.start < self.high:
            raise ValueError(
                f"start of {self.name}={self.start:g}: must lie inside the bounds "
                f"({self.low:g}, {self.high:g})."
            )

    def bounded(self, low: float, high: float) -> Parameter:
        """The same parameter with other bounds; a start outside them becomes their midpoint."""
        inside = low < self.start < high
        if inside or not low < high:
            return dataclasses.replace(self, low=low, high=high)
        log = self.scale == "log" and low > 0
        middle = math.sqrt(low * high) if log else (low + high) / 2
        return dataclasses.replace(self, low=low, high=high, start=middle)


@dataclass(frozen=True)
class GrowthModel:
    """A(t) of one slice: `area = initial_area * relative(days, parameters, courses)`.

    Attributes:
        name: key in `GROWTH_MODELS`.
        parameters: fitted parameters; `initial_area` comes first. Its bounds are multiples of the
            first measurement (0.9 to 1.1: "within 10%").
        relative: (days, parameters, courses), all broadcastable -> A / A0, in NumPy ufuncs that
            have a derivative rule (`growth.derivatives`); days >= 0, courses on the same clock.
        estimate: closed-form estimate (areas (..., V) -> parameters), which replaces the fit.
        needs_tumour: the first area must be above zero.
        min_visits: least number of visits of a fit, whatever the spec allows.
        path: dotted path by which `get_growth_model` found it; empty for built-in models.
    """

    name: str
    parameters: tuple[Parameter, ...]
    relative: Relative
    estimate: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None
    needs_tumour: bool = True
    min_visits: int = 2
    path: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters)

    @property
    def knows_radiotherapy(self) -> bool:
        """Whether a course changes the curve."""
        return any(p.after_rt for p in self.parameters)

    def area(
        self, days: np.ndarray, params: Params, courses: Courses | Sequence[Radiotherapy] = ()
    ) -> np.ndarray:
        """Tumour area at `days`, in the unit of `initial_area` (mm^2 once fitted).

        Args:
            days: (T,), counted from the first visit; `initial_area` is the area on day 0.
            params: value of every parameter, scalars or arrays (N,).
            courses: radiotherapy on the same clock; none for growth without treatment. A start
                before day 0 is allowed: the curve is scaled so that A(0) is still `initial_area`.
                Records of type `Radiotherapy` give their dates only; doses need `Courses.of`.

        Returns:
            (T,), or (N, T) where parameters are arrays.
        """
        columns = {name: np.asarray(params[name], float)[..., None] for name in self.names}
        given = courses if isinstance(courses, Courses) else Courses.of(courses)
        return np.asarray(self.evaluate(np.asarray(days, float), columns, given))

    def evaluate(self, days: np.ndarray, columns: Values, courses: Courses) -> Any:
        """`area` for values that broadcast against days; a Dual among them gives a Dual."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return columns["initial_area"] * self.relative(days, columns, courses)

    def with_bounds(self, bounds: Mapping[str, tuple[float, float] | list[float]]) -> GrowthModel:
        """The same model with some bounds replaced; ValueError for an unknown parameter."""
        for name in bounds:
            one_of("growth.bounds", name, self.names, remedy=f"Those are the names of {self.name}.")
        return dataclasses.replace(
            self,
            parameters=tuple(
                p.bounded(float(bounds[p.name][0]), float(bounds[p.name][1]))
                if p.name in bounds
                else p
                for p in self.parameters
            ),
        )

    def linear_quadratic(self) -> GrowthModel:
        """The same model with radiosensitivity alpha (1/Gy) in place of the surviving fraction.

        The surviving fraction then depends on dose and fractions:
        S = exp(-alpha D (1 + d / (alpha/beta))).
        """
        if "survival_fraction" not in self.names:
            return self
        dosed = {"survival_fraction": RADIOSENSITIVITY}
        parameters = tuple(dosed.get(p.name, p) for p in self.parameters)
        return dataclasses.replace(self, parameters=parameters)


RADIOSENSITIVITY = Parameter(
    "radiosensitivity", "1/Gy", 0.005, 0.3, 0.03, "log", width=0.5, after_rt=True
)
