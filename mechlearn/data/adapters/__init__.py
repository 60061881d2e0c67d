"""Public cohorts -> the canonical manifest: one module a data set, each with its traps.

An adapter takes the folder as it was downloaded and returns one record a visit. What it meets
besides the documented layout it refuses, with the path, what it found and what it expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mechlearn.checks import imported, one_of
from mechlearn.data.adapters.bids import find_bids
from mechlearn.data.adapters.brats import find_brats
from mechlearn.data.adapters.cfb_gbm import find_cfb_gbm
from mechlearn.data.adapters.lumiere import find_lumiere
from mechlearn.data.adapters.mu_glioma_post import find_mu_glioma_post
from mechlearn.data.adapters.rhuh_gbm import find_rhuh_gbm
from mechlearn.data.adapters.sailor import find_sailor
from mechlearn.data.adapters.ucsf_alptdg import find_ucsf_alptdg
from mechlearn.data.adapters.upenn_gbm import find_upenn_gbm
from mechlearn.data.manifest import VisitRecord

__all__ = ["ADAPTERS", "Adapter", "adapter_of"]

Adapter = Callable[..., list[VisitRecord]]
ADAPTERS: Mapping[str, Adapter] = {
    "brats": find_brats,
    "lumiere": find_lumiere,
    "ucsf_alptdg": find_ucsf_alptdg,
    "mu_glioma_post": find_mu_glioma_post,
    "cfb_gbm": find_cfb_gbm,
    "rhuh_gbm": find_rhuh_gbm,
    "upenn_gbm": find_upenn_gbm,
    "sailor": find_sailor,
    "bids": find_bids,
}


def adapter_of(kind: str) -> Adapter:
    """The adapter of a data set: a name in `ADAPTERS`, or the dotted path of one of your own.

    Raises:
        ValueError: neither, or nothing at that path that can be called.
    """
    if "." not in kind:
        return ADAPTERS[one_of("data.kind", kind, tuple(ADAPTERS))]
    remedy = "Give MODULE.FUNCTION of your adapter and run with PYTHONPATH=. in its folder."
    found: Adapter = imported("data.kind", kind, remedy=remedy)
    if not callable(found):
        raise ValueError(f"data.kind={kind}: cannot be called. {remedy}")
    return found
