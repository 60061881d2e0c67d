#!/usr/bin/env bash
# What each choice of the method is worth: one change at a time, on the same slices, one table.
#   bash experiments/ablations/run.sh smoke|full [override ...]    (from the root of a checkout)
# Stopped, it goes on where it was. SLICES, PATIENTS, JOBS and PRECISION may be set.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/ablations
case "$profile" in
  smoke) slices="${SLICES:-3}" patients="${PATIENTS:-6}" n_val=3
         less=(sampler.steps=4 task.maps.nodes=2 task.maps.n_static=1) ;;
  full) slices="${SLICES:-12}" patients="${PATIENTS:-12}" n_val=8
        less=(sampler.steps=8 sampler.invert_iterations=1 task.maps.nodes=5 task.maps.n_static=2) ;;
  *) echo "ablations: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
# bfloat16 halves the denoiser's time where the CPU has instructions for it, and is slow elsewhere.
bf16_or_float32() { grep -qsE "amx_bf16|avx512_bf16" /proc/cpuinfo && echo bf16 || echo float32; }
mkdir -p "$out"
export OMP_NUM_THREADS=1  # jobs side by side are the parallelism
# The phantoms of experiments/fig4_longitudinal.
data=(data=phantom "data.name=fig4_$profile" data.phantom.n_train=0 "data.phantom.n_val=$n_val"
      "data.phantom.n_test=$([ "$profile" = smoke ] && echo 6 || echo 16)"
      data.phantom.train_visits=5)
given=("${@:2}")
run() {
  local folder="$1"
  shift
  python -m mechlearn.evaluate -m +experiment=fig4 "task.slices=$slices" "task.patients=$patients" \
    launcher=joblib "hydra.launcher.n_jobs=${JOBS:-2}" "${data[@]}" \
    "sampler.precision=${PRECISION:-$(bf16_or_float32)}" "${less[@]}" "$@" "${given[@]}" \
    "hydra.sweep.dir=$out/$folder"
}
# The first job is the paper's method, with which each other one is compared.
run maps/encode sampler=fast sampler.encode=invert,noise
run maps/votes sampler=fast task.maps.source=mask
run maps/guide sampler=fast guide=regressor
run maps/sampler sampler=labels
python -m mechlearn.collect "$out/maps"
# Sizes from each growth model: exact maps need no generation, so a single cheap one is drawn.
run sizes sampler=labels sampler.steps=1 growth=pooled,ode,gompertz,exponential,carry_forward \
  task.maps.nodes=1 task.maps.n_static=0
python -m mechlearn.collect "$out/sizes"
python experiments/ablations/gather.py "$out"
