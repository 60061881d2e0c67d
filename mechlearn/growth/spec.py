"""Every choice of the growth side in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from mechlearn.checks import in_range, one_of, positive
from mechlearn.growth.laws import LAWS, Law, get_law
from mechlearn.growth.treatment import RT_DURATION_DAYS

__all__ = ["NOISE_MODELS", "SETUPS", "GrowthSpec"]

NOISE_MODELS = ("multiplicative", "additive")
SETUPS = ("train", "all")


@dataclass
class GrowthSpec:
    """How a series is fitted and extrapolated. Not frozen, so that it can serve as a schema.

    Attributes:
        law: name in `growth.laws.LAWS`.
        n_bootstrap: refits behind a forecast (the paper: 100).
        noise_model: `multiplicative`, area * (1 + noise * N(0, 1)), section 3.2; or `additive`,
            area + noise * first area * N(0, 1), Algorithm 1. Symmetric, never clipped.
        noise: relative standard deviation of one measurement.
        setup: `train` sees only visits strictly before the forecast day; `all` sees every visit.
        rt_duration_days: start of radiotherapy = end - this, where only the end is known.
        seed: of the bootstrap noise and the extra starts; combined with the slice's name.
        bounds: law parameter -> [low, high], instead of the law's own.
        ridge: weak pull of the parameters to the law's start values, in first areas per typical
            width (`Parameter.width`): it decides what the visits leave open (four visits do not
            fix six parameters) and weighs a tenth of the measurement noise. 0 is the paper's plain
            least squares, where such parameters run to their bounds.
        n_starts: starting points of the first fit (the law's own and seeded perturbations of it).
        min_visits: fewer visits than this are refused (carry_forward needs one).
        fallback: law for series that `law` refuses (too few visits, no tumour at the first); None
            refuses them. The forecast names the law that was used.
        curve_points: length of the curve from the first visit to the forecast day.
        max_growth: None keeps every extrapolation as it is; otherwise areas are limited to this
            many times the largest area that the fit has seen.
        engine: what runs the refits.
    """

    law: str = "ode"
    n_bootstrap: int = 100
    noise_model: str = "multiplicative"
    noise: float = 0.10
    setup: str = "train"
    rt_duration_days: float = RT_DURATION_DAYS
    seed: int = 0
    bounds: dict[str, list[float]] = field(default_factory=dict)
    ridge: float = 0.01
    n_starts: int = 4
    min_visits: int = 3
    fallback: str | None = None
    curve_points: int = 120
    max_growth: float | None = None
    engine: str = "lmfit"

    def __post_init__(self) -> None:
        one_of("growth.law", self.law, tuple(LAWS))
        one_of("growth.noise_model", self.noise_model, NOISE_MODELS)
        one_of("growth.setup", self.setup, SETUPS)
        one_of("growth.engine", self.engine, ("lmfit",))
        in_range("growth.n_bootstrap", self.n_bootstrap, 1, 1_000_000)
        in_range("growth.noise", self.noise, 0.0, 10.0, remedy="0.1 means 10%.")
        in_range("growth.ridge", self.ridge, 0.0, 10.0)
        in_range("growth.n_starts", self.n_starts, 1, 1000)
        in_range("growth.min_visits", self.min_visits, 1, 1000)
        in_range("growth.curve_points", self.curve_points, 2, 1_000_000)
        positive("growth.rt_duration_days", self.rt_duration_days)
        if self.fallback is not None:
            one_of("growth.fallback", self.fallback, tuple(LAWS))
        if self.max_growth is not None:
            in_range("growth.max_growth", self.max_growth, 1.0, float("inf"))
        for name, bound in self.bounds.items():
            if len(bound) != 2:
                raise ValueError(f"growth.bounds.{name}={bound!r}: must be [low, high].")
        self.resolve()

    def resolve(self) -> Law:
        """The law with this spec's bounds."""
        return get_law(self.law).with_bounds({k: (v[0], v[1]) for k, v in self.bounds.items()})
