"""How GWAInet and PWAve learn: their losses, in the order that their papers give.

GWAInet (section 4.2): first Wnet alone, the warped guide against the truth; then the whole with the
content loss; then with the adversarial loss of weight 0.001 and five steps of the critic for each
of the network. PWAve (section 3.2): content losses of the picture and of G_S, and the adversarial
loss, whose weight and start it does not give: here 0.001, at the end, as GWAInet's.

GWAInet's identity loss is optional, as in the paper, and acts in the last stage. PWAve's perceptual
loss is left out: the networks that it compares with cannot be had.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.data import Batch
from engines.hime.devices import mixed_precision
from engines.hime.discriminator import Discriminator
from engines.hime.state_files import Part, follow, load_parts, read_state, save_parts
from engines.papers.critic import Cnet, critic_loss, generator_loss
from engines.papers.gwainet import Gwainet, chosen
from engines.papers.identity_encoder import IdentityEncoder
from engines.papers.networks import SIDES, kind_of
from engines.papers.pwave import Pwave

WARP, ADVERSARIAL = 0.1, 0.2
"""Shares of the steps: at the start for Wnet alone, at the end against the critic."""
ADVERSARIAL_WEIGHT = 0.001
IDENTITY_WEIGHT = 0.05
CRITIC_STEPS = 5
"""Of GWAInet's critic, for each of the network."""
WEIGHTS_RATE = 1 / 30
"""Learning rate of PWAve's weight networks relative to the others' (0.0001 and 0.003)."""
RATES = {"gwainet": 3e-4, "pwave": 3e-3}
"""GWAInet's paper has 1e-4, for far more samples."""
KEEP = 0.999
"""Share of the moving average that stays in a step."""

Losses = dict[str, Tensor]


def optimiser_of(network: Gwainet | Pwave) -> torch.optim.Adam:
    """Adam, with the rate and momentum of the first step."""
    if isinstance(network, Gwainet):
        return torch.optim.Adam(network.parameters(), betas=(0.9, 0.999))
    slow = list(network.weights.parameters())
    known = {id(p) for p in slow}
    others = [p for p in network.parameters() if id(p) not in known]
    groups = [{"params": others, "share": 1.0}, {"params": slow, "share": WEIGHTS_RATE}]
    return torch.optim.Adam(groups, betas=(0.0, 0.99))


@dataclass
class Duel:
    """A network and its critic, in memory and in their checkpoint."""

    network: Gwainet | Pwave
    ema: Gwainet | Pwave
    optimiser: torch.optim.Adam
    critic: nn.Module | None
    critic_optimiser: torch.optim.Adam | None
    steps: int
    """Of the whole training."""
    step: int = 0
    samples: int = 0
    identity: IdentityEncoder | None = None
    """GWAInet's Inet, fixed; not part of the checkpoint."""

    def parts(self) -> dict[str, Part]:
        """What a checkpoint holds."""
        parts: dict[str, Part] = {"network": self.network, "ema": self.ema}
        parts["optimiser"] = self.optimiser
        if self.critic is not None and self.critic_optimiser is not None:
            parts |= {"critic": self.critic, "critic_optimiser": self.critic_optimiser}
        return parts

    def save(self, path: Path) -> None:
        """See `checkpoint.save_parts`."""
        values = {"step": self.step, "steps": self.steps, "samples": self.samples}
        save_parts(path, self.parts(), kind_of(self.network) | values)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises: ValueError: it is of another network, or of a training of another length, whose
                stages lie elsewhere.
        """
        state = read_state(path)
        own = kind_of(self.network)
        if {name: state.get(name) for name in own} != own:
            raise ValueError(f"{path} holds another network: {state.get('config')}")
        if state["steps"] != self.steps:
            raise ValueError(f"{path} is of a training of {state['steps']} steps, not {self.steps}")
        load_parts(path, state, self.parts())
        self.step, self.samples = state["step"], state["samples"]

    @property
    def stage(self) -> str:
        """Of this step: "warp", "content" or "adversarial"."""
        if isinstance(self.network, Gwainet) and self.step < WARP * self.steps:
            return "warp"
        if self.critic is not None and self.step >= (1 - ADVERSARIAL) * self.steps:
            return "adversarial"
        return "content"


def begin(network: Gwainet | Pwave, steps: int, adversarial: bool) -> Duel:
    """A training from the first step, on the device of the network.

    Args: network: on its device already. steps: of the whole training. adversarial: with a
          critic at the end.
    """
    critic: nn.Module | None = None
    if adversarial:
        side = SIDES[network.scale] * network.scale
        critic = Cnet(side) if isinstance(network, Gwainet) else Discriminator()
        critic = critic.to(next(network.parameters()).device)
    betas = (0.5, 0.9) if isinstance(network, Gwainet) else (0.0, 0.99)
    opponent = torch.optim.Adam(critic.parameters(), betas=betas) if critic is not None else None
    ema = copy.deepcopy(network).eval().requires_grad_(False)
    return Duel(network, ema, optimiser_of(network), critic, opponent, steps)


def _made(duel: Duel, batch: Batch) -> tuple[Tensor, Losses]:
    """The pictures and the content losses."""
    network, given = duel.network, (batch.crop, batch.exemplars, batch.validity)
    with mixed_precision(batch.crop.device):
        if isinstance(network, Gwainet):
            picture = network(*given)
            return picture, {"content": F.l1_loss(picture, batch.truth)}
        made = network.make(*given)
    truth = F.interpolate(batch.truth, size=made.small.shape[-2:], mode="area")
    content = F.l1_loss(made.picture, batch.truth)
    return made.picture, {"content": content, "small": F.l1_loss(made.small, truth)}


def _warped(network: Gwainet, batch: Batch) -> Losses:
    """The first stage of GWAInet: the guide, laid over the crop, against the truth."""
    guide, weight = chosen(batch.exemplars, batch.validity)
    with mixed_precision(guide.device):
        moved = network.warp(batch.crop, guide)
    return {"warp": ((moved - batch.truth).abs() * weight).mean()}


def learn(duel: Duel, batch: Batch, rate: float) -> Losses:
    """One step of training; returns the losses, unweighted.

    Args: batch: of crops with exemplars as they are, on any device. rate: of learning, for this
          step.
    """
    stage, network = duel.stage, duel.network
    batch = batch.to(next(network.parameters()).device)
    for group in duel.optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
        if isinstance(network, Gwainet) and stage == "adversarial":
            group["betas"] = (0.5, 0.9)  # section 4.2
    told: Losses = {}
    turn = True
    if stage == "warp" and batch.exemplars.shape[1] and isinstance(network, Gwainet):
        losses = _warped(network, batch)
    elif stage == "adversarial":
        each = CRITIC_STEPS if isinstance(network, Gwainet) else 1
        turn = duel.step % each == each - 1
        with torch.set_grad_enabled(turn):
            picture, losses = _made(duel, batch)
        told["critic"] = _challenge(duel, picture, batch.truth, rate)
        if turn:
            assert duel.critic is not None
            losses["adversarial"] = generator_loss(duel.critic, picture)
            if duel.identity is not None:
                losses["identity"] = duel.identity.loss(picture, batch.truth)
    else:
        _, losses = _made(duel, batch)
    if turn:
        weights = {"adversarial": ADVERSARIAL_WEIGHT, "identity": IDENTITY_WEIGHT}
        loss = torch.stack([weights.get(k, 1.0) * v for k, v in losses.items()]).sum()
        duel.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        duel.optimiser.step()
    duel.step += 1
    duel.samples += len(batch.crop)
    follow(duel.ema, network, duel.step, KEEP)
    return {name: value.detach() for name, value in (losses | told).items()}


def _challenge(duel: Duel, picture: Tensor, truth: Tensor, rate: float) -> Tensor:
    """One step of the critic; returns its loss."""
    assert duel.critic is not None
    assert duel.critic_optimiser is not None
    for group in duel.critic_optimiser.param_groups:
        group["lr"] = rate
    duel.critic.requires_grad_(True)
    loss = critic_loss(duel.critic, truth, picture, duel.step)
    duel.critic_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    duel.critic_optimiser.step()
    duel.critic.requires_grad_(False)
    return loss.detach()
