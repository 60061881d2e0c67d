"""Classes a recipe may name: the library's, and those of packages that the command line names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from mechlearn.config.build import build_callbacks
from mechlearn.config.specs import typed_words
from mechlearn.config.targets import allow_own, check_targets
from mechlearn.models import network_targets
from mechlearn.models.network_targets import build_network

Compose = Callable[..., DictConfig]
OWN = """
import pytorch_lightning as pl
from torch import nn

class Early(pl.Callback):
    def __init__(self, at):
        self.at = at

class Net(nn.Module):
    def __init__(self, contrasts, width):
        super().__init__()
        self.conv = nn.Conv2d(contrasts, 2 * contrasts, width)

def run(**options):
    raise AssertionError
"""


@pytest.fixture
def mylab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of the user's own on Python's path."""
    (tmp_path / "mylab.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(network_targets, "_own", set())
    return "mylab"


@pytest.mark.parametrize(
    "target",
    ["os.system", "torch.hub.load", "builtins.eval", "", "mechlearner.x", "torch.optimal.x",
     ["os.system"], {}],
)  # fmt: skip
def test_recipe_names_no_other_class(target: object) -> None:
    own = {"_target_": target}
    for node in (own, {"_target_": "pytorch_lightning.X", "deep": own, "list": [own]}):
        cfg = OmegaConf.create({"logger": node})
        with pytest.raises(ValueError, match=r"logger.*_target_=.*a recipe may name classes of"):
            check_targets(cfg, [])


def test_a_callback_of_the_users_own_is_allowed_by_the_command_line(
    composed: Compose, mylab: str
) -> None:
    words = ("train", "callbacks=bare", f"+callbacks.early={{_target_:{mylab}.Early,at:3}}")
    with pytest.raises(ValueError, match=r"early._target_=mylab.Early.*allow_targets=\[PACKAGE\]"):
        check_targets(composed(*words), typed_words())
    cfg = composed(*words, "allow_targets=[mylab]")
    check_targets(cfg, typed_words())
    assert [c.at for c in build_callbacks(cfg) if type(c).__name__ == "Early"] == [3]
    cfg.logger._target_ = "os.system"
    with pytest.raises(ValueError, match="a recipe may name classes of"):
        check_targets(cfg, typed_words())


def test_a_recipe_cannot_allow_itself(composed: Compose) -> None:
    cfg = composed("train")
    cfg.allow_targets = ["os"]
    with pytest.raises(ValueError, match=r"allow_targets=\['os'\] stands in a recipe"):
        check_targets(cfg, typed_words())


@pytest.mark.parametrize("node", [3, "x", [], {}, {"a": 1}, None])
def test_what_is_made_into_an_object_is_a_group_with_a_class(node: object) -> None:
    with pytest.raises(ValueError, match=r"logger=.*the class in logger\._target_"):
        check_targets(OmegaConf.create({"logger": node}), [])


@pytest.mark.parametrize("name", ["", "a b", "os.", "../x"])
def test_what_is_no_package_is_refused(name: str) -> None:
    cfg = OmegaConf.create({"allow_targets": [name]})
    with pytest.raises(ValueError, match="must be the name of a package"):
        check_targets(cfg, ["allow_targets=[x]"])


def test_a_network_of_the_users_own_is_built_where_it_was_allowed(
    composed: Compose, mylab: str
) -> None:
    spec = {"_target_": f"{mylab}.Net", "contrasts": 2, "width": 3}
    with pytest.raises(ValueError, match=r"_target_='mylab.Net'.*allow_targets=\[PACKAGE\]"):
        build_network(spec)
    allow_own(composed("evaluate", "allow_targets=[mylab]"), typed_words())
    assert type(build_network(spec)).__name__ == "Net"
    for other, message in (("run", "must be a class of torch.nn.Module"),
                           ("Lost", "cannot be imported"), ("pl.nn", "cannot be imported")):
        with pytest.raises(ValueError, match=message):
            build_network({"_target_": f"{mylab}.{other}"})
    with pytest.raises(ValueError, match="not in the list of networks"):
        build_network({"_target_": "os.system"})
