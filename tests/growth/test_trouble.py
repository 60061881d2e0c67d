"""Series that go wrong: each is forecast sanely or refused by name, whatever the growth model."""

import numpy as np
import pytest

from mechlearn.growth import GrowthSpec
from mechlearn.growth.counterfactual import what_if
from mechlearn.growth.size_forecast import forecast
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

MODELS = {
    "learned": GrowthSpec(law="learned", population="glioma"),
    "pooled": GrowthSpec(law="pooled", population="phantom", n_bootstrap=20),
    "ode": GrowthSpec(law="ode", n_bootstrap=20, n_starts=4),
}


def series(*readings, courses=()) -> SizeSeries:
    visits = tuple(SizeReading(float(d), float(s)) for d, s in readings)
    return SizeSeries("P1/z70", "P1", visits, courses)


EARLY = (Radiotherapy(-120.0, -80.0, 60.0, 30),)
LONG = tuple((7 * k, 400 * np.exp(0.0012 * 7 * k)) for k in range(300))
# readings, courses, forecast day, largest median that is still sane, models that refuse by name
SANE = {
    "a reading twice": (((0, 400), (60, 500), (60, 500), (120, 650)), (), 180, 2000, ()),
    "one visit": (((0, 400),), (), 60, 1500, ("ode",)),
    # below what the prior tells apart: 290 mm2 is the section of its floor
    "all zero": (((0, 0), (60, 0), (120, 0)), (), 180, 290, ("ode",)),
    "vanishes and returns": (((0, 400), (60, 0), (120, 300)), (), 180, 1500, ()),
    "radiotherapy before the first visit":
        (((0, 400), (60, 420), (120, 500)), EARLY, 180, 1500, ()),
    "300 visits": (LONG, (), 2120, 8000, ()),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", SANE)
def test_trouble_is_forecast_sanely_or_refused_by_name(case, model):
    readings, courses, day, most, refusing = SANE[case]
    tumour = series(*readings, courses=courses)
    if model in refusing:
        with pytest.raises(ValueError, match=r"P1/z70.*growth"):
            forecast(tumour, day, spec=MODELS[model])
        return
    made = forecast(tumour, day, spec=MODELS[model])
    assert np.isfinite(made.curves).all()
    assert (made.samples >= 0).all()
    assert made.median <= most
    assert made.interval()[0] < made.interval()[1]


REFUSED = {
    "a size above a brain's slice":
        (series((0, 400), (60, 9e4), (120, 500)), 180, r"P1/z70.*size=90000 mm2 is larger"),
    "a dose in cGy":
        (series((0, 400), (60, 450), (120, 500), courses=(Radiotherapy(10, 50, 6000, 30),)), 180,
         r"P1/z70.*dose_gy=6000.*Divide by 100"),
    "days that are dates":
        (series((20210105, 400), (20210309, 450), (20210601, 500)), 20210801,
         r"P1/z70.*day=20210105.*convert a date"),
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_by_name(case, model):
    tumour, day, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        forecast(tumour, day, spec=MODELS[model])


def test_a_dose_in_cgy_of_another_course_is_refused_by_name():
    given = (Radiotherapy(10, 50, 54.0, 30),)
    with pytest.raises(ValueError, match=r"dose_gy=5400.*Divide by 100"):
        what_if(series((0, 400), (60, 450), courses=given), 180, spec=MODELS["pooled"],
                courses=(Radiotherapy(10, 50, 5400.0, 30),))  # fmt: skip
