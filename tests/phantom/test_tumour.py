"""Growth of phantom tumours: the law inside, walls, radiotherapy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from mechlearn.phantom.anatomy import Anatomy, barriers
from mechlearn.phantom.paint import TumourMaps
from mechlearn.phantom.phantom_spec import Course, TumourParameters
from mechlearn.phantom.tumour import GROWTH_MM, Tumour, dying_share, labels


@lru_cache(maxsize=1)
def grown() -> tuple[Tumour, list]:
    torch.set_num_threads(1)
    rng = np.random.default_rng(11)
    parameters = TumourParameters.draw("GLI", rng)
    tumour = Tumour(Anatomy(rng), "GLI", parameters, rng)
    return tumour, tumour.states(Course((0, 60), None))


def test_dying_share_solves_the_growth_law() -> None:
    p = TumourParameters.draw("GLI", np.random.default_rng(1))
    integral, _ = quad(lambda t: p.decay_rate * np.tanh(p.slope * (t - p.delay)), 0, 80)
    assert dying_share(80, p) == pytest.approx(np.exp(-integral), rel=1e-6)


@pytest.mark.slow
def test_no_cell_stands_in_ventricle_falx_or_tentorium() -> None:
    tumour, states = grown()
    closed = ~tumour.tissues.brain | barriers(tumour.tissues)
    assert float(states[-1].density[closed].max()) == 0


@pytest.mark.slow
def test_untreated_tumour_gains_cells() -> None:
    _, (first, later) = grown()
    assert float(later.density.sum()) > float(first.density.sum())


@pytest.mark.slow
def test_radiotherapy_leaves_fewer_cells_than_no_treatment() -> None:
    tumour, (first, untreated) = grown()
    course = Course((0, 60), rt_start_day=1, rt_end_day=43)
    treated = tumour.follow(first.density, course)[-1]
    assert float(treated.density.sum()) < float(untreated.density.sum())


@pytest.mark.slow
def test_mass_effect_is_held_at_the_skull() -> None:
    tumour, states = grown()
    push = tumour.displacement(states[-1], tumour.grid).norm(dim=0)
    outside = ~tumour.tissues.brain
    assert float(push[outside].max()) < 0.35 * float(push.max()) + 0.2


@pytest.mark.slow
def test_compartments_add_up_to_at_most_one() -> None:
    tumour, states = grown()
    none = torch.zeros(3, *tumour.grid.shape)
    maps = tumour.compartments(states[0], tumour.tissues, tumour.grid, none)
    total = sum(getattr(maps, name) for name in TumourMaps.__dataclass_fields__)
    assert float(total.max()) <= 1.0001
    assert float(total.min()) >= 0


@pytest.mark.slow
def test_labels_lie_inside_the_brain() -> None:
    tumour, states = grown()
    none = torch.zeros(3, *tumour.grid.shape)
    maps = tumour.compartments(states[0], tumour.tissues, tumour.grid, none)
    mask = labels(maps, tumour.tissues.brain)
    assert mask.any()
    assert not mask[~tumour.tissues.brain.numpy()].any()
    assert (mask > 0).sum() * GROWTH_MM**3 > 1000
