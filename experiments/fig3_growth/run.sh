#!/usr/bin/env bash
# The paper's Fig. 3 on phantoms and on real series: growth laws on held-out last visits.
#   bash experiments/fig3_growth/run.sh smoke|full      (from the root of a checkout)
set -euo pipefail
profile="${1:-smoke}"
cd "$(dirname "$0")/../.."
out=outputs/experiments/fig3_growth
case "$profile" in
  smoke | full) ;;
  *) echo "fig3_growth: profile '$profile': must be smoke or full" >&2; exit 2 ;;
esac
rm -rf "$out"
mkdir -p "$out"

# Real gliomas first: the learned forecast and the growth models under a population, patients apart.
data="${MECHLEARN_REAL_DATA:-../shared/data}/growth"
for name in mu_glioma_post_flair lumiere_hdglio_total; do
  if [ -f "$data/$name.csv" ]; then
    for growth in learned pooled; do
      python -m mechlearn.evaluate +experiment=growth_fits task.series="$data/$name.csv" \
        growth=$growth growth.population=cross_fit hydra.run.dir="$out/$name/$growth"
    done
  fi
done

# Real series; the population of each patient is fitted to the others.
series=(lumiere)
if [ "$profile" = full ]; then series+=(laleh); fi
if python experiments/fig3_growth/real_series.py "$out/series"; then
  for name in "${series[@]}"; do
    python -m mechlearn.evaluate +experiment=growth_fits task.series="$out/series/$name.csv" \
      growth=pooled growth.population=cross_fit hydra.run.dir="$out/$name"
  done
fi
# 60 slices of 8 held-out phantom patients: the packaged population, then the paper's way, law by law.
python -m mechlearn.evaluate -m +experiment=growth_fits task.patients=8 task.slices=60 \
  growth=pooled,ode,eq6,algorithm1,gompertz_rt,logistic_rt,gompertz hydra.sweep.dir="$out/phantom"
python -m mechlearn.collect "$out/phantom"

if [ "$profile" = full ]; then  # the same population on 100 held-out patients
  python -m mechlearn.evaluate +experiment=growth_fits data.phantom.n_test=100 growth=pooled \
    hydra.run.dir="$out/phantom_100"
fi

python experiments/fig3_growth/gather.py "$out"
