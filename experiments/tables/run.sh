#!/usr/bin/env bash
# Three tables, each through dataset=table alone: retraining against a single early model, three seeds each.
#   experiments/tables/run.sh DATA [ROOT]
# DATA holds bank_marketing/bank-additional.zip, elec2/elec.csv and flights/nycflights13.parquet; see README.md for where
# they come from. ROOT (default: outputs/tables) is where the runs go.
set -euo pipefail
data=${1:?usage: experiments/tables/run.sh DATA [ROOT]}
root=${2:-outputs/tables}
bank=$(mktemp -d)
trap 'rm -rf "$bank"' EXIT
python -m zipfile -e "$data/bank_marketing/bank-additional.zip" "$bank"

sweep() { # NAME, then overrides
  modyn-bench run --multirun root="$root/$1" seed=0,1,2 logger=none "evaluation.metrics=[accuracy,roc_auc]" "${@:2}"
}

# Bank marketing: 41,188 calls in their order; how long the call took is known only after it, so it is left out.
table=(dataset=table dataset.path="$bank/bank-additional/bank-additional-full.csv" dataset.timestamp=null
  dataset.label=y "dataset.drop=[duration]")
sweep bank "${table[@]}" trigger=amount trigger.num_samples=4000
sweep bank "${table[@]}" trigger=once trigger.after=4000s replay.flush=false

# Electricity prices, half-hourly: neighbouring rows are alike, so whole blocks of 500 are held out, about every fifth; the
# windows are long enough to hold one.
table=(dataset=table dataset.path="$data/elec2/elec.csv" dataset.timestamp=null dataset.label=class
  dataset.test_split=block)
sweep elec2 "${table[@]}" evaluation.windows.sliced.every=2000s trigger=amount trigger.num_samples=4000
sweep elec2 "${table[@]}" evaluation.windows.sliced.every=2000s trigger=once trigger.after=4000s replay.flush=false

# Flights of 2013: more than 15 minutes late? The hour is that of the actual departure; how late that was is left out.
# Cancelled and diverted flights have no arrival delay, and so no label.
table=(dataset=table dataset.path="$data/flights/nycflights13.parquet" "dataset.timestamp=[year,month,day,hour]"
  dataset.label=arr_delay dataset.label_threshold=15 dataset.invalid_rows=drop
  "dataset.features=[hour,distance,carrier,origin,dest]")
sweep flights "${table[@]}" trigger=time trigger.every=4w
sweep flights "${table[@]}" trigger=once trigger.after=4w replay.flush=false

for name in bank elec2 flights; do
  modyn-bench report "$root/$name"/*/ --out "$root/report/$name"
done
