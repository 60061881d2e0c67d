"""Numbers out of range: refused with their key before data or weights are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from mechlearn.config.ranges import CHOICES, RANGES, check_names, check_ranges

Compose = Callable[..., DictConfig]


def wrong_values(key: str) -> list[float]:
    allowed = RANGES[key]
    below = allowed.low if allowed.above else allowed.low - 1
    values = [below, allowed.high * 2 + 1, float("inf"), float("nan")]
    return [v for v in values if v not in allowed.also]


@pytest.mark.parametrize("key", RANGES)
def test_each_range_refuses_what_is_beyond_it_and_names_the_key(key: str) -> None:
    dotted = key.replace("*", "one")
    for value in wrong_values(key):
        cfg = OmegaConf.create()
        OmegaConf.update(cfg, dotted, value)
        with pytest.raises(ValueError, match=f"^{dotted}="):
            check_ranges(cfg)


@pytest.mark.parametrize("key", CHOICES)
def test_each_choice_refuses_another_word(key: str) -> None:
    cfg = OmegaConf.create()
    OmegaConf.update(cfg, key.replace("*", "one"), "quantum")
    with pytest.raises(ValueError, match="'quantum': must be one of"):
        check_ranges(cfg)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("train", ("+experiment=ddpm_brats",)), ("train", ("+experiment=ddpm_labels",)),
        ("train", ("trainer.max_steps=-1", "trainer.max_epochs=3", "trainer=ddp")),
        ("evaluate", ("+experiment=sizes",)), ("evaluate", ("+experiment=grid_search",)),
        ("forecast", ("patient=v.csv", "day=+60")), ("forecast", ("+experiment=demo",)),
        ("prepare", ("data=brats",)), ("export", ()),
    ],
)  # fmt: skip
def test_recipes_are_within_their_ranges(composed: Compose, name: str, overrides: tuple) -> None:
    check_ranges(composed(name, *overrides))


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("train", ("model.network.channels=[]",), r"model.network.channels=\[\]"),
        ("evaluate", ("+experiment=sizes", "task.multiples=[]"), r"task.multiples=\[\]"),
        ("forecast", ("+experiment=demo", "patient=v.csv"), "patient=v.csv with data=phantom"),
        ("forecast", ("patient=v.csv", "day=nan"), "day=nan"),
        ("forecast", ("patient=v.csv", "day=1e300"), "day=1e"),
        ("forecast", ("patient=v.csv", "day=tomorrow"), "day=tomorrow must be days since"),
    ],
)
def test_values_that_do_not_go_together(
    composed: Compose, name: str, overrides: tuple, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_ranges(composed(name, *overrides))


@pytest.mark.parametrize(
    "word",
    ["name=../../x", "name=a/b", "task.name=../../x", "data.name=/tmp/x", "name=.x",
     "+name='../x'", "model.kind=../x", f"name={'x' * 101}"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="a name becomes a folder"):
        check_names([word])


@pytest.mark.parametrize("word", ["paths.outputs=", "paths.stores=''", "+paths.data="])
def test_an_empty_place_is_refused(word: str) -> None:
    """Or the output folder would be /train/... at the root."""
    with pytest.raises(ValueError, match="is empty: give a folder"):
        check_names([word])


def test_nothing_is_written_outside_the_output_folder(command, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    status, err = command("forecast", "name=../../../x", f"paths.outputs={tmp_path}/deep/out")
    assert (status, "Traceback" in err) == (1, False)
    assert list(tmp_path.rglob("*")) == [tmp_path / "deep"]
