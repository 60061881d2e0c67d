"""List of the networks that a checkpoint may name, so that a file cannot choose code to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.networks import nets
from torch import nn

from mechlearn.models import label_networks, networks

__all__ = ["NETWORKS", "build_network"]

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


def build_network(spec: Mapping[str, Any]) -> nn.Module:
    """Build a network from {_target_, arguments}.

    A checkpoint may be untrusted. The target must be in `NETWORKS`; arguments must be numbers,
    booleans, None and sequences of them, so that no argument names a class, a file or an address.

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
    if target not in NETWORKS:
        raise ValueError(
            f"network._target_={target!r}: not in the list of networks that a checkpoint may name "
            f"({', '.join(NETWORKS)}). Train with one of these."
        )
    options = {key: value for key, value in spec.items() if key != "_target_"}
    for key, value in options.items():
        if not _is_plain(value):
            raise ValueError(
                f"network.{key}={value!r}: arguments of a network must be numbers, booleans, null "
                "or lists of them. Correct the card of the checkpoint."
            )
    try:
        return NETWORKS[target](**options)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"network {target}: {reason}. Correct its arguments.") from error


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float))
