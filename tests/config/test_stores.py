from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mechlearn.config.stores import check_source, check_store, store_root

Compose = Callable[..., DictConfig]


def test_two_manifests_of_one_name_have_two_stores(composed: Compose) -> None:
    first, second = (
        store_root(composed("prepare", "data=manifest", f"data.manifest=/{place}/visits.csv"))
        for place in ("a", "b")
    )
    assert first != second
    assert first.name.startswith("visits-")


def test_named_store_keeps_its_name(composed: Compose, tmp_path: Path) -> None:
    cfg = composed("prepare", "data=brats", "data.name=gli")
    assert store_root(cfg) == tmp_path / "stores" / "gli"


def test_phantom_needs_no_store(composed: Compose) -> None:
    check_store(composed("train", "data=phantom"))


def test_several_roots_are_all_checked(composed: Compose, tmp_path: Path) -> None:
    cfg = composed("prepare", "data=brats", f"data.root=[{tmp_path},{tmp_path}/none]")
    with pytest.raises(FileNotFoundError, match=f"data.root={tmp_path}/none"):
        check_source(cfg)


def test_command_in_the_message_keeps_what_was_given(composed: Compose) -> None:
    cfg = composed("train", "data=brats", "data.root=/b", "data.name=gli", "seed=3")
    with pytest.raises(FileNotFoundError) as caught:
        check_store(cfg)
    assert "mechlearn.prepare data=brats data.root=/b data.name=gli" in str(caught.value)
    assert "seed" not in str(caught.value)
