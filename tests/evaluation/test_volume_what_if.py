"""A counterfactual of a whole tumour: the forecast's sizes times the growth model's ratio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mechlearn.evaluation.treatment_change import CourseChange, RefusedChangeError
from mechlearn.evaluation.volume_forecast import forecast_volume
from mechlearn.evaluation.volume_what_if import volume_what_if
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.records import Patient, Radiotherapy, Visit

DAYS = (0.0, 40.0, 100.0, 160.0)


def patient(*, treated: bool = True) -> Patient:
    """Grows, shrinks under radiotherapy from day 45, grows again."""
    volumes = (9000.0, 14000.0, 8000.0, 9500.0)
    visits = [Visit(f"d{d:g}", d, volumes_mm3={"whole": v})
              for d, v in zip(DAYS, volumes, strict=True)]  # fmt: skip
    courses = (Radiotherapy(45.0, 87.0, 60.0, 30),) if treated else ()
    return Patient("P", tuple(visits), courses)


@pytest.mark.parametrize("growth", [None, GrowthSpec(law="ode", n_bootstrap=20)])
def test_without_radiotherapy_the_tumour_is_larger(growth: GrowthSpec | None) -> None:
    made = forecast_volume(patient(), 220.0)
    other = volume_what_if(made, CourseChange(rt=False), growth=growth)
    assert other.change.forecast.median > 1.2 * made.size.median
    assert other.details.size is other.change.forecast
    assert other.change.forecast.unit == "mm3"
    before = made.size.curve_days <= 45
    np.testing.assert_allclose(
        np.median(other.change.forecast.curves[:, before], 0),
        np.median(made.size.curves[:, before], 0), rtol=0.02,
    )  # fmt: skip


def test_it_says_what_it_is_computed_from() -> None:
    made = forecast_volume(patient(), 220.0)
    ode = volume_what_if(made, CourseChange(rt_start_day=60.0),
                         growth=GrowthSpec(law="ode", n_bootstrap=5))  # fmt: skip
    assert "growth model ode, fitted to the 4 visits of this patient" in ode.origin
    pooled = volume_what_if(made, CourseChange(rt_start_day=60.0))
    assert "population prior from simulated patients" in pooled.origin
    assert "do not respond" in pooled.origin


def test_a_change_of_a_course_that_was_not_given_is_refused() -> None:
    made = forecast_volume(patient(treated=False), 220.0)
    with pytest.raises(RefusedChangeError, match="has no course of radiotherapy"):
        volume_what_if(made, CourseChange(rt=False))


def test_python_and_page_show_both(tmp_path: Path) -> None:
    from mechlearn.results import Forecast

    result = Forecast(forecast_volume(patient(), 220.0))
    other = result.what_if(rt=False)
    page = result.report(tmp_path / "page.html", what_if=other).read_text()
    assert "Not evidence of what treatment would do." in page
    assert f"{other.result.size.median / 1000:.1f}" in page
