#!/usr/bin/env bash
# The small pair of this benchmark (weights/): 64 x 64 pixels of 3 mm, trained on the embedded cohort.
# Ten minutes of one core that multiplies bf16, the cohort and its slices not counted.
#   bash experiments/benchmarks/growth_map/train.sh      (from the root of a checkout)
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=experiments/benchmarks/growth_map
out=outputs/experiments/benchmarks/growth_map/train
data=(data.name=phantom64 'data.root=${paths.data}/phantom' data.prepare.size=64
  data.prepare.pixel_mm=3)
common=("${data[@]}" data.loader.batch_size=8 data.loader.num_workers=0 callbacks.previews=null
  model.low_level=300 model.low_level_share=0.75 model.ema_decay=0.998
  'model.network.attention_levels=[false,false,false]')

python -m mechlearn.prepare data=phantom "${data[@]}"
python -m mechlearn.train +experiment=ddpm_phantom "${common[@]}" \
  'model.network.channels=[16,32,64]' +model.network.norm_num_groups=16 optimizer.lr=1e-3 \
  trainer.max_steps=2400 trainer.val_check_interval=1200 hydra.run.dir="$out/ddpm"
python -m mechlearn.train +experiment=segmenter_phantom "${common[@]}" \
  'model.network.channels=[8,16,32]' +model.network.norm_num_groups=8 optimizer.lr=2e-3 \
  trainer.max_steps=1600 trainer.val_check_interval=800 hydra.run.dir="$out/segmenter"
pair=(checkpoints.denoiser="$out/ddpm/model.pt" checkpoints.guide="$out/segmenter/model.pt")
python -m mechlearn.evaluate +experiment=guide_gain "${data[@]}" "${pair[@]}" \
  hydra.run.dir="$out/gain"
python -m mechlearn.export "${pair[@]}" name=growth-map-64 half=true overwrite=true \
  out="$here/weights"
