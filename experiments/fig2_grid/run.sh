#!/usr/bin/env bash
# The paper's Fig. 2: noise level x regressor scale, on phantoms and on real scans.
#   bash experiments/fig2_grid/run.sh smoke|full [override ...]      (from the root of a checkout)
# Stopped, it goes on where it was: cells that are finished are not run again. Delete
# outputs/experiments/fig2_grid to start anew. PAIRS, JOBS, SAMPLER, PRECISION and BRATS may be set.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/fig2_grid
case "$profile" in
  smoke) pairs="${PAIRS:-10}" count=1 real="task.count=1 task.multiples=[1.5]" ;;
  full) pairs="${PAIRS:-185}" count=5 real="task.count=5 task.multiples=[0.75,1.25,1.5,2]" ;;
  *) echo "fig2_grid: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
# bfloat16 halves the denoiser's time where the CPU has instructions for it, and is slow elsewhere.
bf16_or_float32() { grep -qsE "amx_bf16|avx512_bf16" /proc/cpuinfo && echo bf16 || echo float32; }
mkdir -p "$out"
export OMP_NUM_THREADS=1  # two jobs side by side are the parallelism
grid=("sampler=${SAMPLER:-fast}" sampler.nl=100,200,300,500 sampler.scale=10k,50k,100k,500k
      "sampler.precision=${PRECISION:-$(bf16_or_float32)}" launcher=joblib
      "hydra.launcher.n_jobs=${JOBS:-2}" "${@:2}")

# Pairs of consecutive visits of the test patients whose size changes by a fifth or more, taken in
# turns from the patients; the target is the true size at the next visit.
python -m mechlearn.evaluate -m +experiment=grid_search "${grid[@]}" "task.count=$count" \
  "task.slices=$pairs" task.patients=null task.min_change=0.2 hydra.sweep.dir="$out/phantom"
python -m mechlearn.collect "$out/phantom"

# Real cases have one visit: targets are multiples of the initial size. No model saw any of them, so
# all of them are taken (none is set apart by data.splits).
BRATS="${BRATS:-${MECHLEARN_REAL_DATA:-../shared/data}/brats2021}"
if [ -d "$BRATS" ]; then
  data=(data=brats "data.root=$BRATS" data.name=fig2_brats data.prepare.size=128
        data.prepare.pixel_mm=1.5 data.splits.val=0 data.splits.test=0)
  paths=()
  for given in "${@:2}"; do
    case "$given" in paths.*) paths+=("$given") ;; esac
  done
  python -m mechlearn.prepare "${data[@]}" "${paths[@]}" data.workers=2
  # shellcheck disable=SC2086
  python -m mechlearn.evaluate -m +experiment=grid_search "${grid[@]}" "${data[@]}" task.split=train \
    task.patients=6 task.slices=null $real hydra.sweep.dir="$out/brats"
  python -m mechlearn.collect "$out/brats"
else
  echo "fig2_grid: no real cases: BRATS=$BRATS is not there"
fi
python experiments/fig2_grid/gather.py "$out"
