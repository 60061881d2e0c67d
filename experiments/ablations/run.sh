#!/usr/bin/env bash
# What each choice of the method is worth: multiruns on the same slices, one table.
#   bash experiments/ablations/run.sh smoke|full [override ...]    (from the root of a checkout)
# Stopped, it goes on where it was. SLICES and JOBS may be set.
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/ablations
case "$profile" in
  smoke) slices="${SLICES:-4}" n_val=3 n_test=6 less=(sampler.steps=6 task.maps.nodes=3) ;;
  full) slices="${SLICES:-32}" n_val=8 n_test=16 less=() ;;
  *) echo "ablations: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
mkdir -p "$out"
export OMP_NUM_THREADS=1  # jobs side by side are the parallelism
# The phantoms of experiments/fig4_longitudinal.
data=(data=phantom "data.name=fig4_$profile" data.phantom.n_train=0 "data.phantom.n_val=$n_val"
      "data.phantom.n_test=$n_test" data.phantom.train_visits=5)
python -m mechlearn.prepare "${data[@]}"  # before jobs side by side want it
run() {
  local name="$1"
  shift
  python -m mechlearn.evaluate -m +experiment=fig4 "task.slices=$slices" launcher=joblib \
    "hydra.launcher.n_jobs=${JOBS:-2}" "${data[@]}" "${less[@]}" "$@" "${given[@]}" "hydra.sweep.dir=$out/$name"
  python -m mechlearn.collect "$out/$name"
}
given=("${@:2}")
run encode sampler=fast sampler.encode=invert,noise task.maps.n_static=0
run votes sampler=fast task.maps.source=otsu,mask task.maps.n_static=0
run guide sampler=fast guide=segmenter,regressor task.maps.n_static=0
run sampler sampler=fast,placed,labels task.maps.n_static=4
# Sizes from each growth model: exact maps need no generation, so two cheap ones are drawn.
run sizes sampler=labels growth=pooled,ode,gompertz,exponential,carry_forward task.maps.nodes=2 \
  task.maps.n_static=0
python experiments/ablations/gather.py "$out"
