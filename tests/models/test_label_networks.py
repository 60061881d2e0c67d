from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import make_card
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.label_inpainting import inpainting_error
from mechlearn.models.label_networks import (
    LABEL_CHANNELS,
    LabelDenoiser,
    LabelInpainter,
    label_map,
)
from mechlearn.models.label_segmentation import LabelSegmentationModule
from mechlearn.models.network_targets import build_network

SPEC = {
    "_target_": "mechlearn.models.label_networks.LabelDenoiser", "contrasts": 2, "width": 8,
    "channels": [8, 16], "attention_levels": [False, True], "norm_num_groups": 4,
}


def test_label_map_is_one_hot_beside_the_brain():
    labels = torch.tensor([[[0, 1, 2], [3, 4, 0]]])
    channels = label_map(labels, torch.ones(1, 1, 2, 3))
    assert channels.shape == (1, len(LABEL_CHANNELS), 2, 3)
    assert torch.equal(channels[:, :-1].sum(1), (labels > 0).float())
    assert (channels[:, -1] == 1).all()


def test_a_checkpoint_may_name_it_and_no_labels_are_labels_of_zero():
    network = build_network(SPEC)
    assert isinstance(network, LabelDenoiser)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    x, l = torch.randn(2, 2, 16, 16), torch.tensor([3, 90])
    zeros = torch.zeros(2, len(LABEL_CHANNELS), 16, 16)
    assert torch.allclose(network(x, l), network(x, l, zeros))
    ones = zeros.clone()
    ones[:, -1] = 1
    assert not torch.allclose(network(x, l), network(x, l, ones))
    assert network(x, l).shape == (2, 4, 16, 16)


def test_training_leaves_the_labels_out_of_a_share_of_the_draws():
    card = {"contrasts": ["t1n", "t2f"], "size": 16, "pixel_mm": 1.5, "intensity": {}}
    module = DDPMModule(SPEC, schedule=NoiseSchedule(), data=card, label_dropout=0.3)
    draws = list(range(400))
    batch = {"labels": torch.full((400, 4, 4), 2), "brain": torch.ones(400, 1, 4, 4),
             "draw": draws}
    (told,) = module._conditions(batch, validation=False)
    left_out = float((told.flatten(1).sum(1) == 0).float().mean())
    assert 0.2 < left_out < 0.4
    (always,) = module._conditions(batch, validation=True)
    assert (always.flatten(1).sum(1) > 0).all()
    assert make_card("ddpm", SPEC, NoiseSchedule(), card)["network"] == SPEC


def test_the_inpainter_keeps_known_pixels_and_does_not_use_hidden_ones():
    network = LabelInpainter(2, features=(8, 8, 8, 8, 8, 8)).eval()
    batch = _bright_oedema()
    labels = label_map(batch["labels"], torch.ones(4, 1, 32, 32))
    known = torch.ones(4, 1, 32, 32)
    known[:, :, 6:12, 8:20], known[:, :, 12:14, 8:20] = 0.0, 0.5
    made = network(batch["image"], labels, known)
    sure = (known == 1).expand_as(made)
    assert torch.equal(made[sure], batch["image"][sure])
    other = torch.where(known == 0, 0.9, batch["image"])
    assert torch.equal(network(other, labels, known)[(known < 1).expand_as(made)],
                       made[(known < 1).expand_as(made)])
    doubted = torch.where(known == 0.5, 0.9, batch["image"])
    assert not torch.equal(network(doubted, labels, known), made)


def test_a_scanners_gain_and_offset_pass_through_the_inpainter():
    network = LabelInpainter(2, features=(8, 8, 8, 8, 8, 8)).eval()
    batch = _bright_oedema()
    labels = label_map(batch["labels"], torch.ones(4, 1, 32, 32))
    known = torch.ones(4, 1, 32, 32)
    known[:, :, 6:12, 8:20] = 0.0
    made = network(batch["image"], labels, known)
    other = network(0.5 * batch["image"] + 0.2, labels, known)
    torch.testing.assert_close(other, 0.5 * made + 0.2, atol=1e-4, rtol=1e-4)


def test_the_parts_of_a_denoiser_are_trained_together_or_alone(tmp_path):
    spec = {**SPEC, "inpainter": [8, 8, 8, 8, 8, 8]}
    card = {"contrasts": ["t1n", "t2f"], "size": 32, "pixel_mm": 1.5, "intensity": {}}
    batch = {**_bright_oedema(), "present": torch.ones(4, 2), "draw": [0, 1, 2, 3],
             "brain": torch.ones(4, 1, 32, 32)}
    for parts in (["inpainter"], ["denoiser"], ["denoiser", "inpainter"]):
        torch.manual_seed(0)
        module = DDPMModule(
            spec, schedule=NoiseSchedule(), data=card, lr=0.01, parts=parts, label_dropout=0.0
        )
        before = {k: v.clone() for k, v in module.network.state_dict().items()}
        trainer = _trainer(tmp_path, max_steps=12)
        loader = torch.utils.data.DataLoader([batch] * 12, batch_size=None)
        trainer.fit(module, loader, torch.utils.data.DataLoader([batch], batch_size=None))
        moved = {k.split(".")[0] == "inpainter" for k, v in module.network.state_dict().items()
                 if not torch.equal(v, before[k])}
        assert moved == {part == "inpainter" for part in parts}
        assert ("val/mae_t2f" in trainer.callback_metrics) == ("inpainter" in parts)
        assert ("val/mse" in trainer.callback_metrics) == ("denoiser" in parts)
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        if "denoiser" in parts:  # the best checkpoint is chosen by the denoiser
            assert logged["val/loss"] == pytest.approx(
                logged["val/mse"] + 0.001 * logged["val/vlb_bits_per_dim"], rel=1e-4
            )
        else:
            maes = [logged[f"val/mae_{name}"] for name in ("t1n", "t2f")]
            assert logged["val/loss"] == pytest.approx(sum(maes) / 2, rel=1e-4)
    with pytest.raises(ValueError, match="nothing is trained"):
        DDPMModule(SPEC, schedule=NoiseSchedule(), data=card, parts=["inpainter"])


def test_training_lowers_the_error_in_hidden_tumour(tmp_path):
    torch.manual_seed(0)
    spec = {**SPEC, "inpainter": [8, 8, 8, 8, 8, 8]}
    card = {"contrasts": ["t1n", "t2f"], "size": 32, "pixel_mm": 1.5, "intensity": {}}
    module = DDPMModule(spec, schedule=NoiseSchedule(), data=card, lr=0.01, parts=["inpainter"])
    batches = []
    for i in range(150):
        batch = _bright_oedema()
        edge = batch["labels"][:, None] * torch.linspace(-0.4, 0.4, 32)  # brighter to the right
        batches.append({**batch, "image": batch["image"] + edge, "present": torch.ones(4, 2),
                        "draw": [4 * i + k for k in range(4)], "brain": torch.ones(4, 1, 32, 32)})
    first = inpainting_error(module.inpainter, batches[0], seed=9).mean()
    trainer = _trainer(tmp_path, max_steps=150)
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    last = inpainting_error(module.inpainter, batches[0], seed=9).mean()
    assert last < 0.75 * first


SEGMENTER = {
    "_target_": "mechlearn.models.label_networks.LabelSegmenter", "contrasts": 2,
    "features": [8, 8, 8, 8, 8, 8], "dropout": 0.0,
}


def test_a_scanners_gain_and_offset_do_not_change_the_segmentation():
    network = build_network(SEGMENTER).eval()
    x = torch.rand(1, 2, 32, 32) - 0.8
    x[..., :4] = -1.0
    other = torch.where(x > -1, 0.4 * x + 0.3, x)
    torch.testing.assert_close(network(x), network(other), atol=1e-4, rtol=1e-4)
    assert network(x).shape == (1, 4, 32, 32)


def test_training_on_labels_lowers_the_validation_loss(tmp_path):
    torch.manual_seed(0)
    card = {"contrasts": ["t1n", "t2f"], "size": 32, "pixel_mm": 1.5, "intensity": {}}
    module = LabelSegmentationModule(SEGMENTER, schedule=NoiseSchedule(), data=card, lr=0.01)
    batch = _bright_oedema()
    trainer = _trainer(tmp_path, max_steps=30)
    loader = torch.utils.data.DataLoader([batch] * 30, batch_size=None)
    trainer.fit(module, loader, torch.utils.data.DataLoader([batch], batch_size=None))
    assert trainer.callback_metrics["val/dice_tumour"] > 0.8
    assert trainer.callback_metrics["val/dice_oedema"] > 0.8


def _trainer(folder, *, max_steps):
    return pl.Trainer(
        max_steps=max_steps, val_check_interval=max_steps // 2, check_val_every_n_epoch=None,
        accelerator="cpu", default_root_dir=folder, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )


def _bright_oedema():
    labels = torch.zeros(4, 32, 32, dtype=torch.long)
    for row in range(4):
        labels[row, 6 : 14 + 2 * row, 8:20] = 2
    labels[:, 28:, 28:] = 4  # a cavity, which is no tumour
    image = -0.5 + 0.9 * (labels == 2).float()[:, None].expand(-1, 2, -1, -1)
    return {"image": image + 0.05 * torch.randn(image.shape), "labels": labels}
