"""Which slice is trained on next: an endless list that is a function of the seed alone.

Draw number d is slice d mod n of pass d // n over the data; each pass has another order, other
mirror images and other left-out contrasts. Nothing depends on the number of processes, on loader
workers or on when a run was interrupted: W ranks of batch size B read the draws that one process of
batch size W * B reads, and a resumed run goes on with the draw after the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler

from mechlearn.checks import in_range

__all__ = ["Draw", "DrawBatches", "Draws"]


@dataclass(frozen=True, slots=True)
class Draw:
    """One training example: slice `index` of the data set, as draw `number` wants it."""

    number: int
    index: int
    flip: bool
    kept: tuple[bool, ...]  # contrasts that are shown


class Draws:
    """The endless list of draws from n slices.

    Args:
        tumour: which slices hold tumour, (n,).
        seed: of the list.
        contrasts: number of channels.
        flip: mirror left and right with probability 1/2.
        drop_contrasts: probability that a contrast is left out; one is always kept.
        tumour_share: share of draws with tumour, drawn with replacement; None shows each slice
            once a pass.
        sources, shares: data set of each slice, (n,), and the share of the draws that comes from
            each of them; the rest is spread over the others. None follows the numbers of slices.

    Raises:
        ValueError: a share outside (0, 1), or a tumour_share where all slices are of one kind.
    """

    def __init__(
        self,
        tumour: Sequence[bool],
        *,
        seed: int,
        contrasts: int,
        flip: bool = False,
        drop_contrasts: float = 0.0,
        tumour_share: float | None = None,
        sources: Sequence[str] | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self.tumour = np.asarray(tumour, bool)
        self.seed, self.contrasts, self.flip = seed, contrasts, flip
        in_range("data.loader.drop_contrasts", drop_contrasts, 0.0, 0.95)
        self.drop_contrasts = drop_contrasts
        self.weights = None if tumour_share is None else _weights(self.tumour, tumour_share)
        if sources is not None and shares:
            given = np.ones(len(self)) if self.weights is None else self.weights
            self.weights = _shared_out(given, np.asarray(sources), shares)
        # Loader workers are sent the draws themselves, so one cache serves the process that draws.
        self._pass = lru_cache(maxsize=2)(self._make_pass)

    def __len__(self) -> int:
        """Slices a pass."""
        return len(self.tumour)

    def _make_pass(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(index (n,), flip (n,), kept (n, C)) of one pass over the data."""
        n, rng = len(self), np.random.default_rng([self.seed, number])
        if self.weights is None:
            index = rng.permutation(n)
        else:
            index = rng.choice(n, size=n, p=self.weights)
        flip = rng.random(n) < 0.5 if self.flip else np.zeros(n, bool)
        kept = rng.random((n, self.contrasts)) >= self.drop_contrasts
        saved = rng.integers(self.contrasts, size=n)
        none = np.flatnonzero(~kept.any(1))
        kept[none, saved[none]] = True
        return index, flip, kept

    def __getitem__(self, number: int) -> Draw:
        index, flip, kept = self._pass(number // len(self))
        at = number % len(self)
        return Draw(number, int(index[at]), bool(flip[at]), tuple(kept[at].tolist()))


def _weights(tumour: np.ndarray, share: float) -> np.ndarray:
    in_range(
        "data.loader.tumour_share", share, 0.01, 0.99, remedy="Use null to draw slices evenly."
    )
    n_tumour = int(tumour.sum())
    if n_tumour in (0, len(tumour)):
        raise ValueError(
            f"data.loader.tumour_share={share:g}: {n_tumour} of {len(tumour)} slices hold tumour; "
            "balanced drawing needs both kinds. Use data.loader.tumour_share=null."
        )
    return np.where(tumour, share / n_tumour, (1 - share) / (len(tumour) - n_tumour))


def _shared_out(
    weights: np.ndarray, sources: np.ndarray, shares: Mapping[str, float]
) -> np.ndarray:
    """Weights, (n,), whose sum over each named source is its share and whose sum is 1."""
    out, rest = weights.copy(), ~np.isin(sources, list(shares))
    left = 1.0 - sum(shares.values())
    for name, share in shares.items():
        mine = sources == name
        if not mine.any() or not 0 <= share <= 1 or left < -1e-9:
            raise ValueError(
                f"data.loader.shares={dict(shares)}: must be shares of 0 to 1, together at most 1, "
                f"of sources that are there ({', '.join(sorted(set(sources)))})."
            )
        out[mine] *= share / out[mine].sum()
    if rest.any():
        out[rest] *= left / out[rest].sum()
    total: np.ndarray = out / out.sum()
    return total


class DrawBatches(Sampler[list[Draw]]):
    """This rank's part of every batch, for a `DataLoader(batch_sampler=...)`.

    Args:
        draws: the list that all ranks share.
        batch_size: draws a batch on each rank.
        batches: length of the whole run; iteration ends there.
        rank, ranks: this process, and how many there are.
    """

    def __init__(
        self, draws: Draws, *, batch_size: int, batches: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.draws, self.batch_size, self.batches = draws, batch_size, batches
        self.rank, self.ranks = rank, ranks
        self.first_draw = 0  # where iteration begins: a resumed run moves it

    @property
    def stride(self) -> int:
        """Draws a batch over all ranks."""
        return self.batch_size * self.ranks

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Draw]]:
        first = self.first_draw  # moves on while this iterates, epoch after epoch
        for step in range(self.batches - first // self.stride % self.batches):
            start = first + step * self.stride + self.rank * self.batch_size
            yield [self.draws[number] for number in range(start, start + self.batch_size)]
