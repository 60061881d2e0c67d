"""Settings of a growth fit and forecast."""

from __future__ import annotations

from dataclasses import dataclass, field

from mechlearn.checks import in_range, one_of
from mechlearn.growth.constraints import check_constraints
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.models import get_growth_model
from mechlearn.growth.treatment import RT_DURATION_DAYS

__all__ = ["LEARNED", "POOLED", "ENSEMBLE_MODELS", "GrowthSpec"]

NOISE_MODELS = ("multiplicative", "additive")
SETUPS = ("train", "all")
RESIDUALS = ("area", "log")
SURVIVALS = ("fraction", "linear_quadratic")
ENGINE_NAMES = ("batched", "lmfit")
LEARNED = "learned"  # value of `law`: a size prior, `learned_forecast.forecast_size`
POOLED = "pooled"  # value of `law`: the weighted ensemble of the population file

ENSEMBLE_MODELS = ("ode", "logistic_rt", "gompertz_rt", "exponential", "gompertz", "carry_forward")


@dataclass
class GrowthSpec:
    """How a series is fitted and extrapolated. Not frozen, because it is also the Hydra schema.

    Attributes:
        law: the growth model: a name in `GROWTH_MODELS`, the dotted path of your own, `pooled` (the
            weighted ensemble of the population file), or `learned` (a size prior, for series of
            sizes).
        population: the population prior: `phantom` (packaged) or a file of `python -m
            mechlearn.evaluate +experiment=population`. None is the method of the paper: least
            squares and a parametric bootstrap.
        calibrate: correct intervals by the population's cross-fitted errors.
        n_bootstrap: number of samples of a forecast (bootstrap refits; the paper: 100).
        noise_model: without a population: `multiplicative`, area * (1 + noise * N(0, 1)), section
            3.2; or `additive`, area + noise * first area * N(0, 1), Algorithm 1. Symmetric, never
            clipped.
        noise: relative standard deviation of one measurement, without a population.
        setup: `train` sees only visits strictly before the forecast day; `all` sees every visit.
        rt_duration_days: start of radiotherapy = end - this, where only the end is known.
        survival: surviving fraction of a course: fitted (`fraction`), or `linear_quadratic` in its
            dose and fractions with a fitted radiosensitivity.
        alpha_beta_gy: of the linear-quadratic model (10 Gy: tumour, Fowler 1989).
        seed: of the bootstrap noise and the extra starts; combined with the slice's name.
        bounds: parameter -> [low, high], in place of the growth model's bounds.
        fixed: parameter -> its value, in natural units, without a population. Not fitted.
        tied: parameter -> expression in others' natural values, without a population, with
            engine=lmfit: {"decay_rate": "growth_rate"}. Clipped to the parameter's bounds.
        residuals: without a population: differences of `area` (the paper) or of its `log`.
        ridge: without a population: weak penalty towards the growth model's start values, in first
            areas per typical width (`Parameter.width`). It determines parameters that the visits
            do not (four visits do not determine six parameters). Its default is a tenth of the
            measurement noise. 0 is the plain least squares of the paper: such parameters then
            often end on a bound.
        n_starts: starting points of the first fit (the model's start and random ones around it).
        min_visits: least number of visits of a fit (one is enough with a population).
        fallback: growth model for series that `law` cannot fit (too few visits, no tumour at the
            first); with None these are errors. The forecast names the model that was used.
        curve_points: number of points of the curve from the first visit to the forecast day.
        max_growth: upper limit of forecast areas, in multiples of the largest area of the visits
            used; None for no limit.
        engine: solver of the fits: `batched` (all at once) or `lmfit` (one by one).
        own_laws: dotted paths of growth models of your own that a population file may name.
    """

    law: str = "ode"
    population: str | None = None
    calibrate: bool = True
    n_bootstrap: int = 100
    noise_model: str = "multiplicative"
    noise: float = 0.10
    setup: str = "train"
    rt_duration_days: float = RT_DURATION_DAYS
    survival: str = "fraction"
    alpha_beta_gy: float = 10.0
    seed: int = 0
    bounds: dict[str, list[float]] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    residuals: str = "area"
    ridge: float = 0.01
    n_starts: int = 24
    min_visits: int = 3
    fallback: str | None = None
    curve_points: int = 120
    max_growth: float | None = None
    engine: str = "batched"
    own_laws: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for law in self.own_laws:
            get_growth_model(law, key="growth.own_laws")
        one_of("growth.noise_model", self.noise_model, NOISE_MODELS)
        one_of("growth.setup", self.setup, SETUPS)
        one_of("growth.engine", self.engine, ENGINE_NAMES)
        one_of("growth.residuals", self.residuals, RESIDUALS)
        one_of("growth.survival", self.survival, SURVIVALS)
        in_range("growth.n_bootstrap", self.n_bootstrap, 1, 1_000_000)
        in_range("growth.noise", self.noise, 0.0, 10.0, remedy="0.1 means 10%.")
        in_range("growth.ridge", self.ridge, 0.0, 10.0)
        in_range("growth.n_starts", self.n_starts, 1, 1000)
        in_range("growth.min_visits", self.min_visits, 1, 1000)
        in_range("growth.curve_points", self.curve_points, 2, 1_000_000)
        in_range("growth.rt_duration_days", self.rt_duration_days, 0.1, 3650.0)
        in_range("growth.alpha_beta_gy", self.alpha_beta_gy, 0.01, 1000.0)
        if self.fallback is not None:
            get_growth_model(self.fallback, key="growth.fallback")
        if self.max_growth is not None:
            in_range("growth.max_growth", self.max_growth, 1.0, 1e6)
        for name, bound in self.bounds.items():
            if len(bound) != 2:
                raise ValueError(f"growth.bounds.{name}={bound!r}: must be [low, high].")
        self._check_law()

    def _check_law(self) -> None:
        if self.population is not None and (self.fixed or self.tied):
            raise ValueError(
                f"growth.fixed={dict(self.fixed)}, growth.tied={dict(self.tied)} with "
                f"growth.population={self.population!r}: a population prior covers every "
                "parameter, so it cannot be combined with them. "
                "Use growth.population=null and one growth.law with them."
            )
        if self.law == LEARNED:
            if self.population is None:
                raise ValueError(
                    "growth.law='learned', growth.population=None: the learned forecast needs a "
                    "prior from a cohort. Give growth.population=glioma, cross_fit or a file."
                )
            return
        if self.law != POOLED:
            check_constraints(self.resolve(), self.fixed, self.tied, self.engine)
            return
        if self.population is None:
            raise ValueError(
                "growth.law='pooled', growth.population=None: the weights of the ensemble come "
                "from a cohort. Give growth.population=phantom or a file, or name one growth model."
            )
        if self.bounds:
            raise ValueError(
                "growth.bounds with growth.law='pooled': bounds apply to one growth model. Give "
                "its name in growth.law."
            )

    def resolve(self) -> GrowthModel:
        """The growth model with the bounds and the survival of this spec."""
        law = get_growth_model(self.law)
        if self.survival == "linear_quadratic":
            law = law.linear_quadratic()
        return law.with_bounds({k: (v[0], v[1]) for k, v in self.bounds.items()})

    @property
    def dose_model(self) -> float | None:
        """alpha/beta where the growth model depends on doses, else None."""
        return self.alpha_beta_gy if self.survival == "linear_quadratic" else None
