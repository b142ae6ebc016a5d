#!/usr/bin/env bash
# When to retrain on Yearbook: the 228 pipelines of the paper.
#   experiments/yearbook_triggering/run.sh YEARBOOK.parquet [OVERRIDE...]
# README.md says how the file is made. Runs go to $ROOT (default: outputs/yearbook_triggering). On a GPU, add
# training.accelerator=gpu; a second terminal with the same command takes the jobs that the first one does not hold.
set -euo pipefail
data=${1:?usage: experiments/yearbook_triggering/run.sh YEARBOOK.parquet [OVERRIDE...]}
own=("${@:2}")
root=${ROOT:-outputs/yearbook_triggering}
common=(+experiment/paper=yearbook_triggering dataset=table dataset.path="$data" dataset.timestamp=timestamp
  dataset.timestamp_unit=s dataset.label=label model._target_=experiments.yearbook_net.YearbookNet)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

# 30: by time and by amount.
sweep seed=42,99,12 trigger=time trigger.every=1d,3d,5d,15d,25d,40d
sweep seed=42,99,12 trigger=amount trigger.num_samples=500,1000,2000,10000

# 72 + 72 + 54: by drift and by performance. The first 3,500 portraits, about ten years, are the warm-up.
for interval in 250 500 100; do
  blocks=(seed=42 trigger.interval="$interval" trigger.warmup_intervals=$(((3500 + interval - 1) / interval))
    +trigger@trigger.warmup_trigger=time trigger.warmup_trigger.every=3d)
  drift=("${blocks[@]}" trigger=drift trigger.windows.reference_size=1d,2d,5d
    'trigger.windows.current_size=${trigger.windows.reference_size}')
  sweep "${drift[@]}" trigger/decision=threshold trigger.decision.threshold=0.05,0.07,0.09 trigger.sample_size=null
  sweep "${drift[@]}" trigger/decision=rolling_quantile trigger.decision.window=15,30 \
    trigger.decision.quantile=0.05,0.1,0.2,0.3
  if ((interval != 100)); then
    sweep "${drift[@]}" trigger/decision=rolling_average trigger.decision.window=15,30 trigger.decision.deviation=0.05,1,2
  fi
  accuracy=("${blocks[@]}" trigger=performance)
  sweep "${accuracy[@]}" trigger.threshold=0.95,0.9,0.875,0.85,0.825,0.8,0.7
  sweep "${accuracy[@]}" trigger/decision=rolling_quantile trigger.decision.window=15,30 \
    trigger.decision.quantile=0.05,0.1,0.2,0.3
  sweep "${accuracy[@]}" trigger/decision=rolling_average trigger.decision.window=15,30 trigger.decision.deviation=0.1,0.2,0.3
done

finish yearbook_triggering paper
