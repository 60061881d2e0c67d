from __future__ import annotations

import numpy as np
import pytest
import torch

from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.model_pair import generate, load_models, sampler_row, unguided
from mechlearn.evaluation.runner import run
from mechlearn.evaluation.size_response import EVALUATION
from mechlearn.records import GuidanceTarget


def test_row_holds_scales_as_numbers_and_all_levels_as_steps(sampler):
    sampler.spec.steps = None
    row = sampler_row(sampler)
    assert (row["scale"], row["effective_scale"], row["steps"]) == (50000.0, 1234.0, 100)


def test_row_changes_when_a_user_prior_is_fitted_again(sampler, tmp_path):
    path = tmp_path / "prior.json"
    sampler.spec.guidance, sampler.spec.order = "labels", str(path)
    rows = []
    for text in ("first", "second"):
        path.write_text(text)
        rows.append(sampler_row(sampler))
    assert rows[0]["order_digest"] != rows[1]["order_digest"]


def test_generations_come_in_the_order_of_their_targets(sampler, synthetic):
    item = synthetic.make_slice(0, 5)
    targets = [GuidanceTarget(f) for f in (0.1, 0.05)]
    assert [g.target for g in generate(sampler, item, targets, seed=0)] == targets


def test_unguided_starts_from_the_reference(sampler, synthetic):
    item = synthetic.make_slice(0, 5)
    np.testing.assert_array_equal(unguided(sampler, item, seed=0).numpy(), item.image)


class SoftFlair:
    """A guide: mean brightness of FLAIR in the brain."""

    def fraction(self, x_l, l, brain):
        bright = torch.sigmoid(20 * (x_l[:, 3:] - 0.15)) * brain
        return bright.sum((1, 2, 3)) / brain.sum((1, 2, 3))


def test_the_real_sampler_fits_the_jobs(synthetic, job):
    spec = SamplerSpec(nl=50, steps=2, encode="invert", batch_size=2)
    real = GuidedSampler(lambda x, l: torch.zeros_like(x), SoftFlair(), schedule=NoiseSchedule(),
                         spec=spec, pixel_mm=3.0)
    asked = job(drawer=real, multiples=[0.5, 1.0, 2.0])
    row = run(EVALUATION, asked, [synthetic.make_slice(0, 5)])
    assert row["unguided_ratio_median"] == pytest.approx(1.0)
    assert row["effective_scale"] == real.effective_scale


def test_a_missing_prior_is_refused_before_any_model_is_read():
    spec = SamplerSpec(guidance="labels", order="nowhere.json")
    with pytest.raises(FileNotFoundError, match="growth prior nowhere.json"):
        load_models("no-such-checkpoint", "demo", spec=spec)
