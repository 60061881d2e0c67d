"""Every recipe composes: each experiment with its command, each option of each group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from mechlearn.config import build, recipes, specs
from mechlearn.config.growth_config import growth_spec
from mechlearn.evaluation.presets import GROWTH, MAPS, SAMPLERS
from mechlearn.models.previews import PreviewCallback

CONF = Path(recipes.conf_dir())
Compose = Callable[..., DictConfig]
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
# Each group with one command that has it: the commands share the recipes.
GROUPS = {
    "data": "prepare", "task": "evaluate", "guide": "forecast", "growth": "forecast",
    "sampler": "evaluate", "launcher": "evaluate", "sweeper": "evaluate", "paths": "prepare",
    "model": "train", "schedule": "train", "trainer": "train", "optimizer": "train",
    "callbacks": "train", "logger": "train",
}  # fmt: skip
EXTRA = {"slurm", "ray", "optuna"}  # they come with an extra of their own


def command_of(experiment: str) -> str:
    """demo forecasts; a recipe that chooses a task is evaluated; the others train."""
    if experiment == "demo":
        return "forecast"
    recipe = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    return "evaluate" if "override /task:" in recipe else "train"


def options() -> list[tuple[str, str, str]]:
    return [
        (command, group, path.stem)
        for group, command in GROUPS.items()
        for path in sorted((CONF / group).glob("*.yaml"))
        if path.stem not in EXTRA and (group, path.stem) != ("task", "train")
        and group != "growth"  # test_growth_recipe_names_its_law composes each
    ]


@pytest.fixture(scope="module")
def recipe(
    request: pytest.FixtureRequest, compose_into: Compose,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DictConfig]:  # fmt: skip
    """An experiment, composed once for all tests that read it."""
    experiment = request.param
    folder = tmp_path_factory.mktemp("recipe")
    yield compose_into(folder, command_of(experiment), f"+experiment={experiment}")
    HydraConfig.instance().cfg = None


def test_every_group_is_covered() -> None:
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert groups == {*GROUPS, "experiment", "hydra"}


@pytest.mark.parametrize("recipe", EXPERIMENTS, indirect=True)
def test_experiment_composes(recipe: DictConfig, request: pytest.FixtureRequest) -> None:
    assert recipe.name == request.node.callspec.params["recipe"]
    assert OmegaConf.to_container(recipe, resolve=True)


@pytest.mark.parametrize("recipe", EXPERIMENTS, indirect=True)
def test_experiment_values_are_valid(recipe: DictConfig) -> None:
    assert specs.sampler_spec(recipe).nl <= 1000
    assert growth_spec(recipe).law == ("ode" if recipe.name == "population" else "pooled")


@pytest.mark.parametrize(("command", "group", "option"), options())
def test_option_composes(composed: Compose, command: str, group: str, option: str) -> None:
    cfg = composed(command, f"{group}={option}")
    assert OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize(
    "recipe", [e for e in EXPERIMENTS if command_of(e) == "train"], indirect=True
)
def test_targets_of_training_exist(recipe: DictConfig) -> None:
    nodes = [recipe.model.network, recipe.trainer, recipe.logger, *recipe.callbacks.values()]
    for node in nodes:
        if node is not None:
            assert get_class(node["_target_"])


@pytest.mark.parametrize(
    "recipe", ["ddpm_brats", "regressor_brats", "segmenter_brats"], indirect=True
)
def test_paper_recipe_is_the_papers(recipe: DictConfig) -> None:
    assert (recipe.data.prepare.size, recipe.data.prepare.pixel_mm) == (256, 1.0)
    assert recipe.data.loader.batch_size == 10
    assert recipe.trainer.max_steps == (175_000 if recipe.name == "ddpm_brats" else 60_000)
    assert recipe.schedule.levels == 1000
    assert recipe.optimizer.lr == 1e-4
    assert recipe.model.adversarial_l2 == 0


def test_previews_are_drawn_with_the_chosen_sampler(composed: Compose) -> None:
    callbacks = build.build_callbacks(composed("train", "sampler.nl=70", "sampler.scale=20k"))
    (previews,) = [c for c in callbacks if isinstance(c, PreviewCallback)]
    assert (previews.spec.nl, previews.spec.scale_value) == (70, 20_000.0)


def test_default_sampler_is_the_papers_choice(composed: Compose) -> None:
    spec = specs.sampler_spec(composed("evaluate"))
    assert (spec.nl, spec.scale_value) == (200, 50_000.0)


def test_every_sampler_recipe_is_a_preset() -> None:
    assert {p.stem for p in (CONF / "sampler").glob("*.yaml")} == set(SAMPLERS)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_sampler_recipe_equals_its_preset(composed: Compose, name: str) -> None:
    assert specs.sampler_spec(composed("forecast", f"sampler={name}")) == SAMPLERS[name]


def test_recipes_of_growth_maps_equal_their_presets(composed: Compose) -> None:
    assert specs.map_spec(composed("forecast").maps) == MAPS["forecast"]
    longitudinal = composed("evaluate", "task=longitudinal")
    assert specs.map_spec(longitudinal.task.maps) == MAPS["paper"]


def test_every_growth_recipe_is_a_preset() -> None:
    assert {p.stem for p in (CONF / "growth").glob("*.yaml")} == set(GROWTH)


@pytest.mark.parametrize("name", sorted(GROWTH))
def test_growth_recipe_equals_its_preset(composed: Compose, name: str) -> None:
    sizes = ("evaluate", "+experiment=growth_fits")  # a size prior forecasts series of sizes
    cfg = composed(*(sizes if name == "learned" else ("forecast",)), f"growth={name}")
    assert growth_spec(cfg) == GROWTH[name]
    assert OmegaConf.to_container(cfg, resolve=True)


def test_default_growth_model_is_the_packaged_ensemble(composed: Compose) -> None:
    for command in ("train", "evaluate", "forecast"):
        cfg = composed(command)
        assert (cfg.growth.law, cfg.growth.population) == ("pooled", "phantom")
