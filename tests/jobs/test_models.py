from __future__ import annotations

import numpy as np

from mechlearn.jobs.models import generate, sampler_row, unguided
from mechlearn.records import GuidanceTarget


def test_row_holds_scales_as_numbers_and_all_levels_as_steps(sampler):
    sampler.spec.steps = None
    row = sampler_row(sampler)
    assert (row["scale"], row["effective_scale"], row["steps"]) == (50000.0, 1234.0, 100)


def test_generations_come_in_the_order_of_their_targets(sampler, synthetic):
    item = synthetic.make_slice(0, 5)
    targets = [GuidanceTarget(f) for f in (0.1, 0.05)]
    assert [g.target for g in generate(sampler, item, targets, seed=0)] == targets


def test_unguided_starts_from_the_reference(sampler, synthetic):
    item = synthetic.make_slice(0, 5)
    np.testing.assert_array_equal(unguided(sampler, item, seed=0).numpy(), item.image)
