from __future__ import annotations

import pytorch_lightning as pl
import torch

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import make_card
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.label_networks import LABEL_CHANNELS, LabelDenoiser, label_map
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
    trainer = pl.Trainer(
        max_steps=30, val_check_interval=15, check_val_every_n_epoch=None, accelerator="cpu",
        default_root_dir=tmp_path, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )
    loader = torch.utils.data.DataLoader([batch] * 30, batch_size=None)
    trainer.fit(module, loader, torch.utils.data.DataLoader([batch], batch_size=None))
    assert trainer.callback_metrics["val/dice_tumour"] > 0.8
    assert trainer.callback_metrics["val/dice_oedema"] > 0.8


def _bright_oedema():
    labels = torch.zeros(4, 32, 32, dtype=torch.long)
    for row in range(4):
        labels[row, 6 : 14 + 2 * row, 8:20] = 2
    labels[:, 28:, 28:] = 4  # a cavity, which is no tumour
    image = -0.5 + 0.9 * (labels == 2).float()[:, None].expand(-1, 2, -1, -1)
    return {"image": image + 0.05 * torch.randn(image.shape), "labels": labels}
