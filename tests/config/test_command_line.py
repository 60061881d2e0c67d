"""What is typed reaches the task as it was typed."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mechlearn.config.command_line import TEXTS, quoted


@pytest.mark.parametrize(
    "value",
    ["1_2", "10_01", "12E4", "007", "+60", "/data/run=1/v.csv", "/data/a(1)/v.csv",
     "/data/a,b/v.csv", "~/v.csv", "it's", "C:\\x", "true", "a b"],
)  # fmt: skip
@pytest.mark.parametrize("key", ["patient", "patient_id", "day"])
def test_a_text_is_read_as_it_was_typed(key: str, value: str) -> None:
    override = OverridesParser.create().parse_override(quoted(f"{key}={value}"))
    assert str(override.value()) == value
    assert isinstance(override.value(), str) or override.is_sweep_override() is False


@pytest.mark.parametrize(
    "word",
    ["day=null", "patient='a'", "data.root=[/a,/b]", "seed=1", "sampler.scale=10k", "-m",
     "paths.outputs=${oc.env:OUT}", "+experiment=demo"],
)  # fmt: skip
def test_other_words_stay(word: str) -> None:
    assert quoted(word) == word


def test_several_days_keep_their_plus() -> None:
    """Hydra's grammar reads [+60,+120] as the numbers 60 and 120."""
    for value in ("[+60,+120]", "+60,+120", "+60 +120"):
        override = OverridesParser.create().parse_override(quoted(f"day={value}"))
        assert override.value() == value
        assert not override.is_sweep_override()


def test_several_values_of_a_sweep_stay() -> None:
    word = "checkpoints.denoiser=a.pt,b.pt"
    assert quoted(word, sweep=True) == word
    assert quoted(word) != word


def test_quoting_twice_changes_nothing() -> None:
    for key in TEXTS:
        once = quoted(f"{key}=a=b")
        assert once == f"{key}='a=b'"
        assert quoted(once) == once
