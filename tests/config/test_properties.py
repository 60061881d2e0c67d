"""Any key of any recipe with any value: it is valid, or one line names the key."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from mechlearn.config import check_mode, growth_config, specs, stores, volume_forecasting
from mechlearn.config.build import build_module, build_trainer
from mechlearn.config.errors import user_text
from mechlearn.config.evaluating import task_spec
from mechlearn.config.ranges import check_ranges
from mechlearn.config.targets import check_targets
from mechlearn.config.tracking import running_logger
from mechlearn.config.validate import check_train
from mechlearn.evaluation.runner import load_evaluation

LONGEST = 700  # characters of a message
CARD = {"contrasts": ["t1n", "t2f"], "size": 32, "pixel_mm": 2.0, "intensity": {}}
TINY = ("model=segmenter_demo", "model.network.channels=[8,16]", "model.network.stem=1",
        "model.network.attention_levels=[false,true]", "+model.network.norm_num_groups=4",
        "trainer.accelerator=cpu")  # fmt: skip
TYPED = {"prepare": ("data=manifest", "data.manifest=pyproject.toml"), "export": ("out=none/x",),
         "forecast": (), "evaluate": ("task=sizes",), "train": TINY}  # fmt: skip
NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, -1, 0, 1, 2, -0.5, 0.3, 10**9, 1e300])
WORDS = st.sampled_from(["", "x", "../../x", "no", "1_2", "os.system", "${oc.env:HOME}"])
PLAIN = NUMBERS | WORDS | st.booleans() | st.none() | st.floats() | st.integers() | st.text("a.[$/")
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.sampled_from("ab"), PLAIN,
                                                               max_size=2)  # fmt: skip


def checked(name: str, cfg: DictConfig) -> None:
    """What the command checks before it reads data or weights; the trainer is built, too."""
    check_targets(cfg, [])
    check_ranges(cfg)
    if name == "train":
        check_train(cfg)
        build_module(cfg, data=CARD)
        with running_logger(cfg) as logger:
            build_trainer(cfg, logger=logger)
    elif name == "evaluate":
        load_evaluation(task_spec(cfg).evaluation)
        growth_config.growth_spec(cfg)
    elif name == "forecast":
        volume_forecasting.forecast_mode(cfg)
        growth_config.course_change(cfg)
        specs.map_spec(cfg.maps)
    elif name == "prepare":
        stores.check_source(cfg)
        stores.store_root(cfg)
        check_mode.bad_visits(cfg)


def keys_of(node: Any, key: str = "") -> Iterator[str]:
    for name, value in node.items():
        dotted = f"{key}.{name}" if key else str(name)
        yield dotted
        if isinstance(value, dict):
            yield from keys_of(value, dotted)


@pytest.fixture(scope="module", params=TYPED)
def recipe(
    request: pytest.FixtureRequest, compose_into: Callable[..., DictConfig],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, DictConfig, list[str]]]:  # fmt: skip
    """A command, what it composes, and all its keys."""
    name = request.param
    cfg = compose_into(tmp_path_factory.mktemp("properties"), name, *TYPED[name])
    yield name, cfg, sorted(keys_of(OmegaConf.to_container(cfg)))
    HydraConfig.instance().cfg = None


def test_the_recipes_themselves_are_valid(recipe: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    name, cfg, keys = recipe
    assert len(keys) > 30
    checked(name, cfg)


@settings(max_examples=150, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
          )  # fmt: skip
@given(data=st.data(), value=VALUES)
def test_any_value_of_any_key_is_valid_or_named(
    recipe: tuple, monkeypatch: pytest.MonkeyPatch, data: st.DataObject, value: Any
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    name, cfg, keys = recipe
    key = data.draw(st.sampled_from(keys))
    changed = cfg.copy()
    try:
        with open_dict(changed):
            OmegaConf.update(changed, key, value, merge=False)
        checked(name, changed)
    except Exception as error:
        text = user_text(error)
        if text is None:
            raise
        named = [key.split(".")[-1], *(value if isinstance(value, dict) else ())]
        assert any(name in text for name in named), text
        assert "\n" not in text.strip()
        assert len(text) < LONGEST
