from __future__ import annotations

import torch

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import make_card
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.label_networks import LABEL_CHANNELS, LabelDenoiser, label_map
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
