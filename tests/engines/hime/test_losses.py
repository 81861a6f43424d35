"""Losses and the discriminator: against plain loops, by hand, and by their gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.hime import losses
from engines.hime.discriminator import Discriminator, blur, minibatch_spread
from engines.hime.face_features import FaceFeatures, load_features


def correlation_by_loops(picture: Tensor, window: int, dilation: int) -> Tensor:
    """Equation 8 word for word: (C, H, W) -> (k^2, H, W)."""
    channels, height, width = picture.shape
    centred = [picture[c] - picture[c].mean() for c in range(channels)]
    reach = window // 2
    shifts = [dilation * n for n in range(-reach, reach + 1)]
    out = torch.zeros(window**2, height, width, dtype=picture.dtype)
    for number, (i, j) in enumerate((i, j) for i in shifts for j in shifts):
        for x in range(height):
            for y in range(width):
                if 0 <= x - i < height and 0 <= y - j < width:
                    for plane in centred:
                        out[number, x, y] += plane[x, y] * plane[x - i, y - j]
    return out / window**2


@pytest.mark.parametrize(("window", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1)])
def test_correlation_equals_a_plain_loop(window: int, dilation: int) -> None:
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 7, 6, dtype=torch.float64)
    made = losses.correlation(pictures, window, dilation)
    for picture, maps in zip(pictures, made, strict=True):
        plain = correlation_by_loops(picture, window, dilation)
        torch.testing.assert_close(maps, plain, rtol=0, atol=1e-12)


def test_correlation_loss_has_its_gradient() -> None:
    torch.manual_seed(0)
    made = torch.rand(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    truth = torch.rand(1, 2, 5, 4, dtype=torch.float64)
    for window, dilation in ((3, 1), (3, 2)):
        assert torch.autograd.gradcheck(
            lambda x, k=window, d=dilation: losses.correlation_loss(x, truth, k, d), (made,)
        )


def test_correlation_sees_texture_and_not_brightness() -> None:
    torch.manual_seed(0)
    truth = torch.rand(2, 3, 32, 32)
    assert float(losses.correlation_loss(truth + 0.2, truth)) < 1e-6
    smooth = F.avg_pool2d(truth, 3, 1, 1)
    assert float(losses.correlation_loss(smooth, truth)) > 0.005
    for window, dilation in ((2, 1), (-1, 1), (3, 0)):
        with pytest.raises(ValueError, match="needs an odd window"):
            losses.correlation(truth, window, dilation)


def test_charbonnier_is_smooth_at_zero_and_an_absolute_value_far_from_it() -> None:
    truth = torch.zeros(1, 3, 4, 4)
    assert float(losses.charbonnier(truth, truth)) == pytest.approx(1e-3)
    assert float(losses.charbonnier(truth + 0.5, truth)) == pytest.approx(0.5, abs=1e-5)


def test_adversarial_losses_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(5, 1), torch.randn(5, 1)
    of_real = torch.sigmoid(real - fake.mean())  # equation 6
    of_fake = torch.sigmoid(fake - real.mean())
    network = -torch.log(1 - of_real).mean() - torch.log(of_fake).mean()  # equation 5
    discriminator = -torch.log(of_real).mean() - torch.log(1 - of_fake).mean()  # equation 7
    torch.testing.assert_close(losses.adversarial_loss(real, fake), network)
    torch.testing.assert_close(losses.discriminator_loss(real, fake), discriminator)
    far = losses.discriminator_loss(real - 500, fake + 500)
    assert bool(far.isfinite())


@pytest.mark.parametrize("side", [64, 128, 192, 384])
def test_discriminator_takes_every_size_of_training(side: int) -> None:
    torch.manual_seed(0)
    network = Discriminator(channels=4, most=16)
    verdict = network(torch.rand(3, 3, side, side))
    assert verdict.shape == (3, 1)
    assert verdict.dtype == torch.float32
    verdict.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_discriminator_learns_to_tell_noise_from_smooth_pictures() -> None:
    torch.manual_seed(0)
    network = Discriminator(channels=8, most=32)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.5, 0.99))
    for _ in range(12):
        noise = torch.rand(4, 3, 64, 64)
        smooth = F.interpolate(torch.rand(4, 3, 8, 8), size=64, mode="bilinear")
        loss = losses.discriminator_loss(network(smooth), network(noise))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float(loss.detach()) < 0.7  # 1.39 is a guess


def test_blurring_down_keeps_flat_pictures_and_does_not_alias() -> None:
    point = torch.zeros(1, 1, 8, 8)
    point[..., 4, 4] = 64
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    torch.testing.assert_close(blur(point, 3)[0, 0, 3:7, 3:7], torch.outer(taps, taps))
    flat = blur(torch.ones(1, 2, 16, 16), 3)
    assert flat.shape == (1, 2, 17, 17)
    torch.testing.assert_close(flat[..., 3:-3, 3:-3], torch.ones(1, 2, 11, 11))
    stripes = torch.zeros(1, 1, 16, 16)
    stripes[..., ::2] = 1
    assert float(blur(stripes, 3)[..., 4:-4, 4:-4].std()) < 1e-6


def test_minibatch_spread_shows_pictures_that_are_alike() -> None:
    alike = torch.rand(1, 3, 4, 4).expand(4, 3, 4, 4)
    different = torch.rand(6, 3, 4, 4)  # six are compared three by three
    assert float(minibatch_spread(alike)[:, 3].max()) < 1e-3
    plane = minibatch_spread(different)[:, 3]
    assert plane.shape == (6, 4, 4)
    assert float(plane.min()) > 0.1


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19 with random weights, under torchvision's names, its classifier left out."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    state = {}
    number, before = 0, 3
    for channels in losses.Perceptual.PLAN:
        if channels:
            spread = (2 / (9 * before)) ** 0.5
            state[f"features.{number}.weight"] = torch.randn(channels, before, 3, 3) * spread
            state[f"features.{number}.bias"] = torch.zeros(channels)
            before = channels
        number += 2 if channels else 1
    assert f"features.{number - 2}.weight" == "features.34.weight"  # torchvision's conv5_4
    torch.save(state, path)
    return path


def test_perceptual_loss_is_zero_for_equals_and_has_a_gradient(vgg: Path) -> None:
    loss = losses.Perceptual(vgg)
    truth = torch.rand(1, 3, 32, 32)
    assert float(loss(truth, truth)) == 0
    made = (truth + 0.1 * torch.randn_like(truth)).requires_grad_()
    value = loss(made, truth)
    value.backward()
    assert float(value.detach()) > 0
    assert made.grad is not None
    assert float(made.grad.abs().max()) > 0
    assert not any(p.requires_grad for p in loss.parameters())


def test_perceptual_loss_wants_its_weights(vgg: Path, tmp_path: Path) -> None:
    state = torch.load(vgg, weights_only=True)
    path = tmp_path / "other.pth"
    torch.save({**state, "features.34.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"features.34.weight is \(3,\), not \(512, 512, 3, 3\)"):
        losses.Perceptual(path)
    del state["features.2.bias"]
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"no features.2.bias; expected VGG-19"):
        losses.Perceptual(path)


@pytest.fixture(scope="module")
def onet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """O-Net with random weights under facenet-pytorch's names, with some of its other layers."""
    torch.manual_seed(0)
    state = {"dense5.weight": torch.zeros(256, 1152)}
    for k, (a, b) in enumerate(((3, 32), (32, 64), (64, 64)), 1):
        state[f"conv{k}.weight"] = torch.randn(b, a, 3, 3) / (3 * a**0.5)
        state[f"conv{k}.bias"] = torch.randn(b) * 0.1
        state[f"prelu{k}.weight"] = torch.full((b,), 0.25)
    path = tmp_path_factory.mktemp("onet") / "onet.pt"
    torch.save(state, path)
    return path


def test_features_of_a_face_network_serve_the_perceptual_loss(onet: Path, vgg: Path) -> None:
    loss = load_features(onet)
    assert isinstance(loss, FaceFeatures)
    assert isinstance(load_features(vgg), losses.Perceptual)
    truth = torch.rand(2, 3, 32, 32)
    made = (truth + 0.1 * torch.randn(2, 3, 32, 32)).requires_grad_(True)
    assert float(loss(truth, truth)) == 0
    loss(made, truth).backward()
    assert made.grad is not None
    assert made.grad.any()
    assert not any(p.requires_grad for p in loss.parameters())
    # before the activation: as many negative as there are positive ones, about
    features = loss.features(truth)
    assert features.shape[:2] == (2, 64)
    assert 0.1 < float((features < 0).float().mean()) < 0.9


def test_a_file_without_these_features_is_refused(onet: Path, tmp_path: Path) -> None:
    state = torch.load(onet, weights_only=True)
    state["conv2.weight"] = torch.zeros(64, 3, 3, 3)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"no conv2.weight of \(64, 32, 3, 3\); expected O-Net"):
        load_features(tmp_path / "x.pt")
    torch.save([1], tmp_path / "y.pt")
    with pytest.raises(ValueError, match="holds no weights"):
        load_features(tmp_path / "y.pt")
