import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.loggers import Logger

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import load_denoiser, load_model
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.guides import GuideModule
from mechlearn.models.previews import PreviewCallback

DATA = {"contrasts": ["t1n", "t1c", "t2w", "t2f"], "size": 16, "pixel_mm": 1.5, "intensity": {}}
SIZES = {"channels": [16, 32], "attention_levels": [False, True], "num_res_blocks": 1,
         "norm_num_groups": 8}


def network(name):
    extra = {"num_head_channels": 16} if name == "Regressor" else {}
    return {"_target_": f"mechlearn.models.networks.{name}", **SIZES, **extra}


class Squares(torch.utils.data.Dataset):
    """A bright square of varying size in a dark brain."""

    def __len__(self):
        return 16

    def __getitem__(self, i):
        brain, tumour = torch.zeros(1, 16, 16), torch.zeros(1, 16, 16)
        brain[:, 2:14, 2:14] = 1
        tumour[:, 4 : 6 + i % 4, 4 : 6 + i % 4] = 1
        image = (-1 + 0.5 * brain + tumour).expand(4, -1, -1).clone()
        return {"image": image, "tumour": tumour, "brain": brain, "present": torch.ones(4),
                "fraction": tumour.sum() / brain.sum()}

    def __getitems__(self, indices):
        items = torch.utils.data.default_collate([self[i] for i in indices])
        return {**items, "draw": list(indices)}


def as_read(batch):
    return batch


def fit(module, folder, *, steps, callbacks=(), val=True, logger=False, **options):
    loader = torch.utils.data.DataLoader(Squares(), batch_size=8, collate_fn=as_read)
    trainer = pl.Trainer(
        max_steps=steps, val_check_interval=steps if val and steps <= 2 else None,
        check_val_every_n_epoch=1, default_root_dir=folder, accelerator="cpu", logger=logger,
        callbacks=list(callbacks), enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, log_every_n_steps=6, **options,
    )
    trainer.fit(module, loader, loader if val else None)
    return trainer


def losses(module, n=4):
    batch = Squares().__getitems__(range(16))
    with torch.no_grad():
        found = [module._losses({**batch, "draw": range(16 * k, 16 * k + 16)}, validation=True)[0]
                 for k in range(n)]
    return sum(getattr(loss, "mse", loss).mean() for loss in found) / n


@pytest.mark.parametrize("kind", ["ddpm", "regressor", "segmenter"])
def test_training_lowers_the_loss(kind, tmp_path):
    torch.manual_seed(0)
    if kind == "ddpm":
        module = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA, lr=2e-3)
    else:
        module = GuideModule(kind, network(kind.capitalize()), schedule=NoiseSchedule(),
                             data=DATA, lr=2e-3)
    before = losses(module)
    fit(module, tmp_path, steps=15, val=False)
    assert losses(module) < 0.8 * before


def test_checkpoint_holds_the_averaged_weights_and_a_card(tmp_path):
    module = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA, lr=1e-2)
    trainer = fit(module, tmp_path, steps=4, val=False,
                  callbacks=[EMAWeightAveraging(decay=0.9)])
    trainer.save_checkpoint(tmp_path / "m.ckpt")
    loaded = load_denoiser(tmp_path / "m.ckpt")
    assert loaded.card["training_steps"] == 4
    # training ends with the averaged weights in the module
    for name, value in module.network.state_dict().items():
        torch.testing.assert_close(loaded.module.state_dict()[name], value)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_in_any_precision(precision, tmp_path):
    module = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA)
    sizes = []

    class Seen(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            sizes.append(optimizer.defaults["fused"])

        def on_train_batch_end(self, trainer, pl_module, *_):
            found = [p.grad.norm() for p in pl_module.network.parameters() if p.grad is not None]
            sizes.extend([float(torch.stack(found).norm())] if found else [])

    fit(module, tmp_path, steps=1, val=False, callbacks=[Seen()], precision=precision,
        gradient_clip_val=1e-3)
    assert sizes == [precision == "32-true", pytest.approx(1e-3, rel=0.05)]


def test_checkpoint_loads_without_unpickling_code(tmp_path):
    module = GuideModule("segmenter", network("Segmenter"), schedule=NoiseSchedule(), data=DATA)
    fit(module, tmp_path, steps=1, val=False).save_checkpoint(tmp_path / "s.ckpt")
    assert load_model(tmp_path / "s.ckpt").kind == "segmenter"


@pytest.mark.parametrize("partner", [False, True])
def test_previews_are_pictures(partner, tmp_path):
    ddpm = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA)
    fit(ddpm, tmp_path, steps=1, val=False).save_checkpoint(tmp_path / "d.ckpt")
    preview = PreviewCallback(SamplerSpec(nl=10, steps=2), directory=str(tmp_path / "previews"),
                              partner=str(tmp_path / "d.ckpt") if partner else None)
    guide = GuideModule("segmenter", network("Segmenter"), schedule=NoiseSchedule(), data=DATA)
    fit(guide, tmp_path, steps=2, callbacks=[preview])
    assert [p.suffix for p in (tmp_path / "previews").iterdir()] == [".png"]


def test_preview_partner_of_another_schedule_is_refused_before_training(tmp_path):
    ddpm = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(kind="cosine"), data=DATA)
    fit(ddpm, tmp_path, steps=1, val=False).save_checkpoint(tmp_path / "d.ckpt")
    guide = GuideModule("segmenter", network("Segmenter"), schedule=NoiseSchedule(), data=DATA)
    preview = PreviewCallback(SamplerSpec(nl=10, steps=2), partner=str(tmp_path / "d.ckpt"))
    with pytest.raises(ValueError, match="schedule"):
        fit(guide, tmp_path, steps=1, callbacks=[preview])


def test_validation_noise_is_the_same_each_time():
    module = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA)
    x0 = torch.zeros(2, 4, 16, 16)
    draws = [module.noised(x0, [3, 4], validation=True) for _ in range(2)]
    assert torch.equal(draws[0].x_l, draws[1].x_l)


def test_validation_noise_is_not_that_of_training():
    module = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA)
    x0 = torch.zeros(2, 4, 16, 16)
    training, validation = (module.noised(x0, [3, 4], validation=v) for v in (False, True))
    assert not torch.equal(training.epsilon, validation.epsilon)


def test_denoiser_with_classes_learns_with_labels(tmp_path):
    spec = {**network("Denoiser"), "classes": 2}
    module = DDPMModule(spec, schedule=NoiseSchedule(), data=DATA, lr=1e-2)
    before = module.network.unet.class_embedding.weight.detach().clone()
    fit(module, tmp_path, steps=4, val=False)
    moved = (module.network.unet.class_embedding.weight != before).any(1)
    assert moved.tolist() == [False, True]  # every square has tumour; zero layers pass on late


class Remembered(Logger):
    """Keeps what it is told."""

    name, version = "remembered", 0

    def __init__(self):
        super().__init__()
        self.told = []

    def log_metrics(self, metrics, step=None):
        self.told.append((step, metrics))

    def log_hyperparams(self, params, *args, **kwargs):
        """Nothing to remember."""


def test_quartiles_of_the_visited_levels_are_logged(tmp_path):
    module = DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA,
                        low_level=250, low_level_share=1.0)
    logger = Remembered()
    fit(module, tmp_path, steps=6, val=False, logger=logger)
    quarters = [(step, sorted(m)) for step, m in logger.told if any("_q" in k for k in m)]
    assert quarters == [(5, ["train/mse_q1"])]


def test_importance_and_low_levels_are_not_both_asked_for():
    with pytest.raises(ValueError, match="model.low_level_share=0.5, model.levels=importance"):
        DDPMModule(network("Denoiser"), schedule=NoiseSchedule(), data=DATA,
                   levels="importance", low_level_share=0.5)
