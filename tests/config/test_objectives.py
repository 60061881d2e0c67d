from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from mechlearn.config.evaluating import _objectives


def test_a_sweeper_gets_the_rows_numbers_in_its_order():
    cfg = OmegaConf.create({"objectives": ["ssim_outside", "alteration_inside"]})
    row = {"alteration_inside": 0.2, "ssim_outside": 0.9, "job": "grid"}
    assert _objectives(cfg, row) == [0.9, 0.2]


def test_a_misspelt_objective_is_named_with_the_nearest_key():
    cfg = OmegaConf.create({"objectives": ["ssim_outsid"]})
    with pytest.raises(ValueError, match="no number ssim_outsid; similar: ssim_outside"):
        _objectives(cfg, {"ssim_outside": 0.9, "job": "grid"})


def test_the_recipe_of_optuna_names_its_objectives(composed):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    cfg = composed("evaluate", "sweeper=optuna")
    assert list(cfg.objectives) == ["alteration_inside", "ssim_outside"]
