"""List of the networks that a checkpoint may name, so that a file cannot choose code to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.networks import nets
from torch import nn

from mechlearn.checks import imported, in_package
from mechlearn.models import label_networks, networks

__all__ = ["NETWORKS", "allow", "build_network"]

OURS = ("Denoiser", "Regressor", "Segmenter")
LABELS = ("LabelDenoiser", "LabelSegmenter")
MONAI = ("AttentionUnet", "BasicUNet", "DiffusionModelUNet", "DynUNet", "SegResNet", "UNet")
NETWORKS: Mapping[str, type[nn.Module]] = {
    **{f"mechlearn.models.networks.{name}": getattr(networks, name) for name in OURS},
    **{f"mechlearn.models.label_networks.{name}": getattr(label_networks, name) for name in LABELS},
    # Paths of version 0.1.
    **{f"mechlearn.diffusion.networks.{name}": getattr(networks, name) for name in OURS},
    **{f"monai.networks.nets.{name}": getattr(nets, name) for name in MONAI},
}
_own: set[str] = set()  # packages of the user's own


def allow(*packages: str) -> None:
    """Let checkpoints name networks of packages of your own, for this process.

    Args:
        packages: such as `mylab`. Their code runs when a file names one of their networks: allow
            only what you trust. The commands take `allow_targets=[mylab]`.
    """
    _own.update(packages)


def _class_of(target: str) -> type[nn.Module]:
    if target in NETWORKS:
        return NETWORKS[target]
    key, remedy = "network._target_", (
        "Train with one of these. A network of your own is allowed by allow_targets=[PACKAGE] on "
        "the command line, in Python by mechlearn.models.network_targets.allow."
    )
    if not in_package(target, tuple(_own)):
        raise ValueError(
            f"{key}={target!r}: not in the list of networks that a checkpoint may name "
            f"({', '.join(NETWORKS)}). {remedy}"
        )
    found = imported(key, target, remedy="Give PACKAGE.MODULE.CLASS, on Python's path.")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{key}={target!r}: must be a class of torch.nn.Module.")
    return found


def build_network(spec: Mapping[str, Any]) -> nn.Module:
    """Build a network from {_target_, arguments}.

    A checkpoint may be untrusted. The target must be in `NETWORKS` or in a package that `allow`
    named; arguments must be numbers, booleans, None and sequences of them, so that no argument
    names a class, a file or an address.

    Raises:
        ValueError: another target, another type of argument, or arguments that the class refuses.

    Example:
        >>> spec = {"_target_": "mechlearn.models.networks.Regressor", "contrasts": 4,
        ...         "channels": [8, 16], "attention_levels": [False, False], "stem": 2,
        ...         "num_res_blocks": 1, "norm_num_groups": 4, "num_head_channels": 4}
        >>> type(build_network(spec)).__name__
        'Regressor'
    """
    target = str(spec.get("_target_", ""))
    network = _class_of(target)
    options = {key: value for key, value in spec.items() if key != "_target_"}
    for key, value in options.items():
        if not _is_plain(value):
            raise ValueError(
                f"network.{key}={value!r}: arguments of a network must be numbers, booleans, null "
                "or lists of them. Correct the card of the checkpoint."
            )
    try:
        return network(**options)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"network {target}: {reason}. Correct its arguments.") from error


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float))
