#!/usr/bin/env bash
# On which samples? Every selection policy on a fifth of the bundled arXiv titles, and on a tenth of the flights of 2013.
#   experiments/arxiv_selection/run.sh DATA [ROOT]
# DATA holds flights/nycflights13.parquet; see ../tables/README.md for where it comes from. ROOT (default:
# outputs/arxiv_selection) is where the runs go. What is done already is not done again.
set -euo pipefail
data=${1:?usage: experiments/arxiv_selection/run.sh DATA [ROOT]}
root=${2:-outputs/arxiv_selection}

sweep() { # NAME, then overrides
  modyn-bench run --multirun root="$root/$1" seed=0,1,2 logger=none "${@:2}"
}
policies='+experiment/selection=glob(*)'

# Eight epochs over a share; all data in 8, 4, 2 and 1 epochs beside it; and as many sample passes as two epochs over all data.
arxiv=(dataset.used_fraction=0.2)
sweep arxiv "${arxiv[@]}" training.epochs=8 "$policies" selector.ratio=0.5,0.25,0.125
sweep arxiv "${arxiv[@]}" training.epochs=8 selector=infobatch
sweep arxiv "${arxiv[@]}" training.epochs=8,4,2,1 selector=new_data
sweep arxiv_compute "${arxiv[@]}" training.epochs=2 training.budget=sample_passes "$policies" selector.ratio=0.25
sweep arxiv_compute "${arxiv[@]}" training.epochs=2 training.budget=sample_passes selector=infobatch,new_data

# Late by more than 15 minutes? Three flights of four are not. The hour is that of the actual departure.
flights=(dataset=table dataset.path="$data/flights/nycflights13.parquet" "dataset.timestamp=[year,month,day,hour]"
  dataset.label=arr_delay dataset.label_threshold=15 dataset.invalid_rows=drop
  "dataset.features=[hour,distance,carrier,origin,dest]" dataset.used_fraction=0.1 trigger.every=4w
  "evaluation.metrics=[accuracy,f1_macro,roc_auc]")
sweep flights "${flights[@]}" training.epochs=8 "$policies" selector.ratio=0.25
sweep flights "${flights[@]}" training.epochs=8 selector=infobatch
sweep flights "${flights[@]}" training.epochs=8,2 selector=new_data
sweep flights_compute "${flights[@]}" training.epochs=2 training.budget=sample_passes "$policies" selector.ratio=0.25
sweep flights_compute "${flights[@]}" training.epochs=2 training.budget=sample_passes selector=infobatch,new_data

python "$(dirname "$0")/summarise.py" "$root"
