"""How a person is learnt: which parameters, how fast, and with whose pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from engines.hime.people import Person

TRAINED = ("all", "enhance", "last")
"""Parameters that are trained: all; those of `enhance`, so that encoded exemplars stay as they are;
the last residual blocks and what enlarges."""
RATE = 2e-4
CHANGED = 0.3
PART = 1.0
"""The whole way may show what was learnt where the face has changed, and then the held-out
close-ups refuse it. Glasses, a beard and a fringe that all seven close-ups wear, and the face no
more (16 px x8, 48 steps of 4 pairs, two seeds): where the glasses were, pictures lose 2.5 and 3.4
dB over the shipped weights without changed pairs, 0.9 and 1.5 dB with them, and half of the way 0.3
and 0.7 dB. In changed held-out pictures it is 0.19 and 0.16 dB, and 0.06 and 0.09 dB half way: half
of the way is used. Of two people who talk (2,048 pairs) the whole way gains 0.24 and 0.60 dB there.
Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022."""
KEPT = ("hr_features.", "transfer.from_exemplar.")
"""Parameters of `encode`. Trained, too, they bring no more (16 px x8, two people, 1,024 pairs:
+0.32 and +0.33 dB, coherence +0.013 and +0.025 without them)."""
LAST_BLOCKS = 4
BLOCK = re.compile(r"reconstruction\.body\.(\d+)\.")


@dataclass(frozen=True)
class Method:
    """The settings of a learning.

    Raises: ValueError: they contradict each other.
    """

    train: str = "enhance"
    """One of `TRAINED`."""
    rate: float = RATE
    """Of Adam, at its highest."""
    general: tuple[Person, ...] = field(default=(), repr=False)
    """Other people, so that the network does not forget them; none are shipped."""
    share: float = 0.0
    """Of the pairs that are theirs."""
    changed: float = CHANGED
    """Share of the pairs in which a part of the face is changed, see `PersonalBatches`."""
    part: float = PART
    """How far of the way from the shipped weights to the learnt ones is gone, at most."""

    def __post_init__(self) -> None:
        if self.train not in TRAINED:
            raise ValueError(f"what is trained is one of {', '.join(TRAINED)}, not {self.train}")
        if not 0.0 < self.rate <= 1.0:
            raise ValueError("the learning rate must be above 0, up to 1")
        if not 0.0 <= self.share < 1.0 or (self.share > 0.0) != bool(self.general):
            raise ValueError("a share of general pairs is 0 to below 1, and needs other people")
        if not 0.0 <= self.changed <= 1.0 or not 0.0 < self.part <= 1.0:
            raise ValueError("a share of changed pairs is 0 to 1, a part above 0 up to 1")

    def trained(self, names: Iterable[str]) -> set[str]:
        """Those of the network's parameters that are trained."""
        every = list(names)
        if self.train == "all":
            return set(every)
        if self.train == "enhance":
            return {name for name in every if not name.startswith(KEPT)}
        found = [int(match[1]) for name in every if (match := BLOCK.match(name))]
        first = max(found, default=0) - LAST_BLOCKS + 1
        return {name for name in every if _is_last(name, first)}


def _is_last(name: str, first_block: int) -> bool:
    block = BLOCK.match(name)
    return int(block[1]) >= first_block if block else name.startswith("reconstruction.")
