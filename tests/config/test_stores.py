from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mechlearn.config.stores import (
    check_source,
    check_store,
    data_config,
    make_store,
    source_records,
    store_root,
)
from mechlearn.data.adapters import ADAPTERS

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


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_each_cohort_needs_its_folder_alone(composed: Compose, tmp_path: Path, kind: str) -> None:
    cfg = composed("prepare", f"data={kind}")
    with pytest.raises(ValueError, match=rf"data\.root=null: .*data={kind}"):
        check_source(cfg)
    cfg.data.root = str(tmp_path)
    check_source(cfg)


def test_option_of_another_cohort_is_refused(composed: Compose, tmp_path: Path) -> None:
    cfg = composed(
        "prepare", "data=lumiere", f"data.root={tmp_path}", "+data.options.rt_sign=header"
    )
    with pytest.raises(
        ValueError, match=r"data\.options\.rt_sign: data=lumiere has the options none"
    ):
        check_source(cfg)


def test_masks_of_tissues_are_given_on_the_command_line(composed: Compose) -> None:
    cfg = composed("prepare", "data=bids", "data.options.masks=[edema:2,enhancing:3]")
    assert data_config(cfg).options["masks"] == ["edema:2", "enhancing:3"]


def test_table_for_a_cohort_without_tables_is_refused(composed: Compose, tmp_path: Path) -> None:
    cfg = composed("prepare", "data=sailor", f"data.root={tmp_path}", "data.tables=a.xlsx")
    with pytest.raises(ValueError, match=r"data\.tables=a\.xlsx: data=sailor reads no tables"):
        check_source(cfg)


def test_training_on_a_cohort_names_the_command_that_prepares_it(composed: Compose) -> None:
    with pytest.raises(FileNotFoundError, match="prepare data=lumiere .*data.root=FOLDER"):
        check_store(composed("train", "data=lumiere"))


@pytest.mark.parametrize("content", ['{"SUB-7": "train"}', "of another tool", "[1]"])
def test_a_foreign_splits_file_beside_a_manifest_is_no_matter_to_a_forecast(
    composed, manifest, tmp_path, content
) -> None:
    (tmp_path / "in").mkdir()
    text = manifest.read_text().splitlines()
    folder = manifest.parent
    own = [line.replace(",p1/", f",{folder}/p1/") for line in [text[0], *text[1:6]]]
    path = tmp_path / "in" / "visits.csv"
    path.write_text("\n".join(own) + "\n")
    path.with_name("splits.json").write_text(content)
    small = ("data.prepare.size=32", "data.prepare.pixel_mm=2", "data.workers=1")
    cfg = composed("prepare", "data=manifest", f"data.manifest={path}", *small)
    assert make_store(cfg, patients=["p1"]).patients() == ["p1"]
    with pytest.raises(ValueError, match=r"splits\.json"):
        make_store(composed("prepare", "data=manifest", f"data.manifest={path}", *small,
                            "data.name=all"))  # fmt: skip


OWN = '''
from pathlib import Path
from mechlearn.data.manifest import VisitRecord

def find(root, *, label_scheme=None, missing=None, stem="t2f"):
    (folder,) = root
    return [VisitRecord("P1", "v1", {"t2f": folder / f"{stem}.nii.gz"}, folder / "seg.nii.gz",
                        "brats2023", day=0.0)]
'''


def test_an_adapter_of_the_users_own_needs_one_file(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_cohort.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    words = ("prepare", "data=cohort", f"data.root={tmp_path}")
    cfg = composed(*words, "data.kind=own_cohort.find", "+data.options.stem=flair")
    check_source(cfg)
    (record,) = source_records(data_config(cfg), None)
    assert record.images == {"t2f": tmp_path / "flair.nii.gz"}
    assert store_root(cfg).name == "own_cohort.find"
    with pytest.raises(ValueError, match=r"data\.kind='own_cohort\.lost': cannot be imported"):
        check_source(composed(*words, "data.kind=own_cohort.lost"))
