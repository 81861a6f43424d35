"""Learner: shipped weights and somebody's close-ups -> personal weights.

Fine-tuning in bfloat16, where the processor has it, with an average of the weights (EMA), judged
again and again by close-ups that were held out; the best weights are kept, and none where the
shipped ones are as good. A learner's result depends on the close-ups, the seed, the number of steps
and these types alone.

Kin: a model for each speaker, trained offline (Gemino, NSDI 2024); online training of
super-resolution in live ingest (LiveNAS, SIGCOMM 2020).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from engines.hime.data import LEAST_BATCH, Batch
from engines.hime.devices import mixed_precision
from engines.hime.losses import charbonnier
from engines.hime.model import Hime
from engines.hime.transfer import pack_detail
from engines.personal.close_ups import CloseUp, split
from engines.personal.gain import Gain
from engines.personal.held_out import HeldOut
from engines.personal.method import Method
from engines.personal.training_pairs import (
    CROP_PX,
    FRESH_FIRST,
    REUSED,
    PersonalBatches,
    drawn,
)

BATCH = {4: 8, 8: 16}
"""Crops of `training_pairs.CROP_PX` in a step, by scale."""
BAND = 1.0
"""Weight of the loss of fine detail: with it more of the detail is true (32 px x4, two people,
1,000 pairs: coherence in the face +0.03 instead of +0.02)."""
WARM_UP = 20
"""Steps."""
EMA = 0.99
SHARES = (1.0, 0.5, 0.25)
"""Of `Method.part`: the held-out close-ups are asked about the first, and about each next one only
if they refuse the one before."""
JUDGED = 8
"""How often the held-out close-ups are asked in the course of a learning."""
EARLY = (8, 16, 32, 64)
"""And after so many steps: of a few close-ups most is gained at once, and lost again by learning
them by heart (32 px x4, seven close-ups, two of them held out: +0.47 dB after 8 steps, +0.55 after
32, +0.36 after 120)."""
TRIAL_ROUNDS = 2
"""From so many rounds of fresh and reused pairs is found out how long a step takes."""

State = dict[str, Tensor]


@dataclass(frozen=True)
class Progress:
    """How far a learning is."""

    step: int
    steps: int
    gain: Gain | None
    """Of the best weights so far over the shipped ones; None: not judged yet."""


class Learner:
    """Learns one person at one scale.

    Args:   network: with the shipped weights; a copy is trained.
            close_ups: of one person, at least `close_ups.LEAST_CLOSE_UPS`.
            steps: so many at most. seed: of everything that is drawn.
            workers: threads that make the pairs. method: see there.
            side: of the crops that are learnt from and judged by, px, one of
            `close_ups.SIDES`; None: `training_pairs.CROP_PX`.
    Raises: ValueError: too few close-ups.
    """

    def __init__(
        self,
        network: Hime,
        close_ups: Sequence[CloseUp],
        steps: int,
        seed: int = 0,
        workers: int = 1,
        method: Method | None = None,
        side: int | None = None,
    ) -> None:
        self._method = method or Method()
        self.scale = network.config.scale
        self._side = side
        learnt, held_out = split(close_ups)
        self._learnt, self._held_out = learnt, held_out
        self._batches = PersonalBatches(
            learnt, network, BATCH[self.scale], seed, steps, self._method, side
        )
        self._workers = workers
        self._seed = seed
        self.steps = steps
        self._shipped_network = network
        device = next(network.parameters()).device
        self._network = copy.deepcopy(network).train()
        parameters = dict(self._network.named_parameters())
        self._names = self._method.trained(parameters)
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in self._names)
        self._network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = copy.deepcopy(self._network).eval().requires_grad_(False)
        self._shipped = [one.detach().clone() for one in self._mean.parameters()]
        self._trained = [one for one in self._network.parameters() if one.requires_grad]
        self._optimiser = torch.optim.Adam(self._trained, betas=(0.9, 0.99))
        self._best: State | None = None
        self._best_gain: Gain | None = None

    @cached_property
    def _judge(self) -> HeldOut:
        return HeldOut(self._shipped_network, self._held_out, self._learnt, self._side)

    @property
    def mean(self) -> Hime:
        """The network as it is now: as far of the way from the shipped weights to the average of
        the latest steps as `Method.part` says."""
        return self._partly(self._method.part)

    @property
    def best(self) -> State | None:
        """Parameters by name, the best so far, without those that stay as shipped; None: the
        shipped ones are as good."""
        return self._best

    @property
    def gain(self) -> Gain:
        """Of the best weights over the shipped ones; 0 where there are none."""
        return self._best_gain or Gain(0.0, 0.0)

    def steps_made(self, *, judged: bool = True) -> Iterator[Progress]:
        """Learn to the end; each step is yielded when it is done.

        Args: judged: ask the held-out close-ups now and then, and keep the best weights.
        """
        every = max(1, self.steps // JUDGED)
        gain: Gain | None = None
        batches = drawn(self._batches, self.steps, self._seed, self._workers)
        for number, batch in enumerate(batches, start=1):
            self._step(batch, number - 1)
            if judged and (number in EARLY or number % every == 0 or number == self.steps):
                gain = self.judge()
            yield Progress(number, self.steps, gain)

    def judge(self) -> Gain:
        """Ask the held-out close-ups, and keep the weights of now if they are the best."""
        least = -math.inf if self._best_gain is None else self._best_gain.psnr
        for share in SHARES:
            network = self._partly(share * self._method.part)
            found = self._judge.gain(network)
            if found.pays:
                if found.psnr > least:
                    self._best_gain = found
                    parameters = network.state_dict().items()
                    self._best = {k: v for k, v in parameters if k in self._names}
                break
        return self.gain

    def _partly(self, part: float) -> Hime:
        """So far of the way from the shipped weights to the average of the latest steps."""
        network = copy.deepcopy(self._mean)
        with torch.no_grad():
            for value, shipped in zip(network.parameters(), self._shipped, strict=True):
                value.copy_(shipped.lerp(value, part))
        return network

    def _step(self, batch: Batch, done: int) -> None:
        device = next(self._network.parameters()).device
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(done)
        crop = batch.crop.to(device, memory_format=torch.channels_last)
        with mixed_precision(device):
            made = self._network(crop, batch.exemplars.to(device), batch.validity.to(device))
        truth = batch.truth.to(device)
        loss = charbonnier(made.float(), truth) + BAND * self._band_loss(made.float(), truth)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimiser.step()
        keep = min(EMA, (1 + done) / (10 + done))
        with torch.no_grad():
            pairs = zip(self._mean.parameters(), self._network.parameters(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, 1 - keep)

    def _band_loss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Charbonnier loss of what lies beyond the crop's own resolution, in luma."""
        luma = ((made - truth) * self._network.luma).sum(dim=1, keepdim=True)
        kernel = self._network.reconstruction.bicubic[: self.scale**2]
        apart = pack_detail(luma, kernel, self.scale)
        return torch.sqrt(apart.square() + 1e-6).mean()

    def _rate(self, done: int) -> float:
        if done < WARM_UP:
            return self._method.rate * (done + 1) / WARM_UP
        share = (done - WARM_UP) / max(1, self.steps - WARM_UP)
        return self._method.rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share)))


def batch_size(scale: int, side: int | None = None) -> int:
    """Crops in a step. Args: side: of the crops, px; None: `training_pairs.CROP_PX`."""
    usual = CROP_PX[scale]
    return max(LEAST_BATCH, BATCH[scale] * usual**2 // (side or usual) ** 2)


def steps_within(
    network: Hime,
    close_ups: Sequence[CloseUp],
    minutes: float,
    seed: int = 0,
    *,
    judged: bool = True,
    method: Method | None = None,
    side: int | None = None,
) -> int:
    """How many steps there are in so many minutes here, from a trial.

    Args: judged: with the time that this trial and the held-out close-ups take. The others are as
          of `Learner`.
    """
    began_s = time.monotonic()
    count = FRESH_FIRST + TRIAL_ROUNDS * REUSED
    trial = Learner(network, close_ups, count, seed, method=method, side=side)
    marks = [time.monotonic() for _ in trial.steps_made(judged=False)]
    # the first ones find their algorithms, and have more to make
    step_s = (marks[-1] - marks[FRESH_FIRST - 1]) / (TRIAL_ROUNDS * REUSED)
    other_s = 0.0
    if judged:
        marks = [time.monotonic()]
        for _ in range(2):  # the first prepares the close-ups, too
            trial.judge()
            marks.append(time.monotonic())
        first_s, next_s = marks[1] - marks[0], marks[2] - marks[1]
        other_s = marks[2] - began_s + first_s + (JUDGED + len(EARLY)) * next_s
    return max(8, round((60.0 * minutes - other_s) / max(step_s, 1e-3)))
