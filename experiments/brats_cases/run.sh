#!/usr/bin/env bash
# From BraTS folders to guided generations: prepare, fine-tune, calibrate, sample.
#   bash experiments/brats_cases/run.sh smoke|full      (from the root of a checkout)
# BRATS is a folder with BraTS 2021 or 2023 cases; at least three of them.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
BRATS="${BRATS:-${MECHLEARN_REAL_DATA:-../shared/data}/brats2021}"
[ -d "$BRATS" ] || { echo "BRATS=$BRATS: no such folder. Give one with BraTS cases." >&2; exit 2; }
out=outputs/experiments/brats_cases
rm -rf "$out"
mkdir -p "$out"

case "$profile" in
  smoke) steps=120 every=40 slices=4 ;;
  full) steps=3000 every=250 slices=16 ;;
  *) echo "brats_cases: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac

# The grid and the networks of the packaged weights, from which training starts.
data=(data=brats "data.root=$BRATS" data.name=brats_cases data.prepare.size=128
      data.prepare.pixel_mm=1.5 data.splits.val=1 data.splits.test=1)
python -m mechlearn.prepare "${data[@]}" data.workers=2
for kind in ddpm regressor segmenter; do
  python -m mechlearn.train "+experiment=${kind}_brats" "${data[@]}" "model=${kind}_demo" init=demo \
    data.loader.batch_size=16 data.loader.num_workers=1 data.loader.val_slices=96 \
    "trainer.max_steps=$steps" "trainer.val_check_interval=$every" trainer.log_every_n_steps=10 \
    optimizer.lr=2e-4 model.ema_decay=0.97 model.warmup_steps=20 "hydra.run.dir=$out/train_$kind"
done
pair=("checkpoints.denoiser=$out/train_ddpm/model.pt"
      "checkpoints.guide=$out/train_segmenter/model.pt")
python -m mechlearn.evaluate +experiment=guide_gain "${data[@]}" "${pair[@]}" task.slices=3 \
  "hydra.run.dir=$out/gain"
python -m mechlearn.evaluate +experiment=sizes sampler=fast "${data[@]}" "${pair[@]}" "task.slices=$slices" \
  "hydra.run.dir=$out/sizes"
python experiments/brats_cases/gather.py "$out"
