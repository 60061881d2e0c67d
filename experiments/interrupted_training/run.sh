#!/usr/bin/env bash
# Training that is killed and resumed, and training by two processes, beside a run left alone.
#   bash experiments/interrupted_training/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/interrupted_training
export OMP_NUM_THREADS=1

case "$profile" in
  smoke) kills=3 steps=20 ;;
  full) kills=10 steps=60 ;;
  *) echo "interrupted_training: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

rm -rf "$out"
mkdir -p "$out"
trap 'rm -rf "$out/cohort" "$out/stores"' EXIT
data=(data=phantom "data.name=interrupted" "data.root=$PWD/$out/cohort" "paths.stores=$PWD/$out/stores"
      data.phantom.n_train=3 data.phantom.n_val=1 data.phantom.n_test=0 data.phantom.voxel_mm=3)
python -m mechlearn.prepare "${data[@]}" "hydra.run.dir=$out/prepare"
python experiments/interrupted_training/interrupt.py "$out" --kills "$kills" \
  -- python -m mechlearn.train "${data[@]}" model=ddpm_demo "model.network.channels=[16,32,32]" \
  +model.network.norm_num_groups=8 model.levels=importance model.low_level_share=0 \
  trainer.max_steps="$steps" trainer.val_check_interval=10 trainer.log_every_n_steps=1 \
  trainer.accumulate_grad_batches=2 trainer.gradient_clip_val=1 trainer.precision=32-true \
  data.loader.val_slices=16 data.loader.num_workers=1 data.loader.drop_contrasts=0.1 \
  trainer.accelerator=cpu callbacks=bare trainer.enable_progress_bar=false
