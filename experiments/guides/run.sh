#!/usr/bin/env bash
# Guides, label maps and encodings on the same pairs of visits, beside dilation; then sizes.
#   bash experiments/guides/run.sh smoke|full [override ...]      (from the root of a checkout)
# Stopped, it goes on where it was: rows that are finished are not run again. Delete
# outputs/experiments/guides to start anew. PAIRS, SIZES, LEVELS, PRECISION and OUT may be set.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out="${OUT:-outputs/experiments/guides}"
case "$profile" in
  smoke) pairs="${PAIRS:-16}" slices="${SIZES:-6}" multiples=[0.5,0.75,1.5,2] ;;
  full) pairs="${PAIRS:-64}" slices="${SIZES:-32}" multiples=[0.5,0.75,1,1.25,1.5,1.75,2] ;;
  *) echo "guides: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
# bfloat16 halves the denoiser's time where the CPU has instructions for it, and is slow elsewhere.
bf16_or_float32() { grep -qsE "amx_bf16|avx512_bf16" /proc/cpuinfo && echo bf16 || echo float32; }
mkdir -p "$out"
export OMP_NUM_THREADS=1
# All guided rows visit as many levels, in one precision: only what a row is called by differs.
# shellcheck disable=SC2016
same=('hydra.sweep.subdir=${hydra.job.num}' "sampler.steps=${LEVELS:-18}"
      "sampler.precision=${PRECISION:-$(bf16_or_float32)}" "${@:2}")

# Targets are the true sizes at the next visit; pairs come in turns from the 16 test patients.
towards_next_visit() {  # NAME override ...
  python -m mechlearn.evaluate -m +experiment=grid_search "${same[@]}" task.patients=16 \
    "task.slices=$pairs" task.min_change=0.1 hydra.sweep.dir="$out/pairs/$1" "${@:2}"
}
towards_next_visit 1_guides sampler=fast guide=regressor,segmenter
towards_next_visit 2_labels sampler=labels sampler.steps=10
towards_next_visit 3_unguided sampler=fast sampler.scale=0 sampler.encode=invert,noise \
  sampler.anchor=false,true

multiples_of_the_size() {  # NAME override ...
  python -m mechlearn.evaluate -m +experiment=sizes "${same[@]}" "task.slices=$slices" \
    "task.multiples=$multiples" hydra.sweep.dir="$out/sizes/$1" "${@:2}"
}
multiples_of_the_size 1_labels sampler=labels sampler.steps=10
multiples_of_the_size 2_guides sampler=fast guide=segmenter,regressor

python experiments/guides/gather.py "$out"
