import pytest
import pytorch_lightning as pl
import torch

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.adversarial import Adversary
from mechlearn.models.guides import GuideModule

B, SHAPE = 6, (2, 8, 8)
BRAIN = torch.ones(B, 1, 8, 8)
L = torch.zeros(B, dtype=torch.long)


class Linear(torch.nn.Module):
    """R = <w, x>: its gradient is w everywhere."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)))
        self.seen = []

    def fraction(self, x_l, l, brain):
        self.seen.append((x_l.dtype, torch.is_autocast_enabled("cpu")))
        return (x_l * self.w).flatten(1).sum(1)


def moved(adversary, guide, x, *, fraction=None, draws=range(B), alpha_bar=1.0):
    """How each image is moved, (B, C, H, W)."""
    fraction = torch.zeros(len(x)) if fraction is None else fraction
    n = len(x)
    return adversary.worst_near(
        guide, x, L[:n], fraction=fraction, brain=BRAIN[:n],
        alpha_bar=torch.full((n,), alpha_bar), draws=list(draws)) - x


def test_no_image_is_moved_further_than_allowed():
    step = moved(Adversary(2.0), Linear(), torch.randn(B, *SHAPE))
    lengths = step.flatten(1).norm(dim=1)
    assert lengths.max() <= 2.0
    assert lengths.unique().numel() == B  # each draw has a distance of its own


@pytest.mark.parametrize("smooth_px", [0.0, 1.0])
@pytest.mark.parametrize("truth", [-100.0, 100.0])
def test_the_reading_is_moved_away_from_the_truth(truth, smooth_px):
    guide, x = Linear(), torch.zeros(B, *SHAPE)
    step = moved(Adversary(2.0, smooth_px), guide, x, fraction=torch.full((B,), truth))
    assert (torch.sign(guide.fraction(step, L, BRAIN)) == -torch.sign(torch.tensor(truth))).all()


def test_unsmoothed_step_lies_along_the_gradient():
    guide = Linear()
    step = moved(Adversary(2.0), guide, torch.zeros(B, *SHAPE)).flatten(1)
    along = torch.nn.functional.cosine_similarity(step, guide.w.detach().flatten()[None])
    torch.testing.assert_close(along, torch.ones(B))


def test_a_noisier_image_is_moved_as_its_signal_is_scaled():
    guide, x = Linear(), torch.randn(B, *SHAPE)
    clean, noisy = (moved(Adversary(2.0), guide, x, alpha_bar=a) for a in (1.0, 0.25))
    torch.testing.assert_close(noisy, 0.5 * clean)


def test_a_step_does_not_depend_on_its_batch():
    guide, x = Linear(), torch.randn(B, *SHAPE)
    together = moved(Adversary(2.0, 1.0), guide, x)
    torch.testing.assert_close(
        moved(Adversary(2.0, 1.0), guide, x[3:4], draws=[3]), together[3:4])


def test_flat_guide_moves_nothing():
    guide = Linear()
    torch.nn.init.zeros_(guide.w)
    assert not moved(Adversary(2.0), guide, torch.randn(B, *SHAPE)).any()


def test_the_adversary_sees_float32_whatever_the_precision_of_training():
    guide = Linear()
    with torch.autocast("cpu", torch.bfloat16):
        moved(Adversary(2.0), guide, torch.randn(B, *SHAPE))
    assert guide.seen == [(torch.float32, False)]


def test_no_gradient_reaches_the_weights():
    guide = Linear()
    step = moved(Adversary(2.0), guide, torch.randn(B, *SHAPE))
    assert guide.w.grad is None
    assert not step.requires_grad


def test_a_faint_cue_is_left_for_the_plain_one():
    """Two pixels tell the size, one loudly and with noise, one exactly in a whisper."""
    generator = torch.Generator().manual_seed(0)
    share = {}
    for l2 in (0.0, 0.5):
        guide, adversary = Linear(), Adversary(l2)
        torch.nn.init.zeros_(guide.w)
        optimizer = torch.optim.Adam(guide.parameters(), lr=0.05)
        for step in range(100):
            size = torch.rand(B, generator=generator)
            x = torch.zeros(B, *SHAPE)
            x[:, 0, 0, 0] = 4 * (size + 0.1 * torch.randn(B, generator=generator))
            x[:, 0, 0, 1] = 0.1 * size
            x = adversary.worst_near(guide, x, L, fraction=size, brain=BRAIN,
                                     alpha_bar=torch.ones(B), draws=range(B * step, B * step + B))
            loss = (guide.fraction(x, L, BRAIN) - size).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loud, faint = guide.w.detach()[0, 0, :2].abs()
        share[l2] = float(faint / loud)
    assert share[0.5] < 0.2 * share[0.0]


@pytest.mark.parametrize("kind", ["regressor", "segmenter"])
def test_a_guide_trains_and_validates_against_the_adversary(kind, tmp_path):
    network = {
        "_target_": f"mechlearn.models.networks.{kind.capitalize()}", "channels": [16, 32],
        "attention_levels": [False, True], "num_res_blocks": 1, "norm_num_groups": 8,
        "num_head_channels": 16, "contrasts": 2,
    }  # fmt: skip
    data = {"contrasts": ["t1c", "t2f"], "size": 8, "pixel_mm": 1.5, "intensity": {}}
    module = GuideModule(kind, network, schedule=NoiseSchedule(), data=data, adversarial_l2=1.0,
                         adversarial_smooth_px=1.0)
    batch = {"image": torch.randn(B, *SHAPE), "tumour": BRAIN, "brain": BRAIN,
             "fraction": torch.ones(B), "present": torch.ones(B, 2), "draw": list(range(B))}
    before = [p.detach().clone() for p in module.network.parameters()]
    trainer = pl.Trainer(
        max_steps=2, val_check_interval=1, accelerator="cpu", precision="bf16-mixed", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = torch.utils.data.DataLoader([batch] * 2, batch_size=None)
    trainer.fit(module, loader, loader)
    assert trainer.callback_metrics["val/loss"].isfinite()
    assert any(not torch.equal(a, b) for a, b in
               zip(before, module.network.parameters(), strict=True))


def test_settings_tell_a_resumed_run_of_the_adversary():
    network = {"_target_": "mechlearn.models.networks.Regressor", "channels": [32],
               "attention_levels": [True], "num_res_blocks": 1}
    module = GuideModule("regressor", network, schedule=NoiseSchedule(), data={}, adversarial_l2=3)
    assert module.settings["model.adversarial_l2"] == 3


def test_a_negative_distance_is_refused():
    with pytest.raises(ValueError, match=r"model\.adversarial_l2"):
        Adversary(-1.0)
