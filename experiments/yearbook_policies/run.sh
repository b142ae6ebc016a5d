#!/usr/bin/env bash
# Every kind of trigger on Yearbook: the 217 pipelines of the reference's wider comparison.
#   experiments/yearbook_policies/run.sh YEARBOOK.parquet [OVERRIDE...]
# ../yearbook_triggering/README.md says how the file is made. Runs go to $ROOT (default: outputs/yearbook_policies). On a
# GPU, add training.accelerator=gpu; a second terminal with the same command takes the jobs that the first one does not hold.
set -euo pipefail
data=${1:?usage: experiments/yearbook_policies/run.sh YEARBOOK.parquet [OVERRIDE...]}
own=("${@:2}")
root=${ROOT:-outputs/yearbook_policies}
common=(+experiment/paper=yearbook_policies dataset=table dataset.path="$data" dataset.timestamp=timestamp
  dataset.timestamp_unit=s dataset.label=label model._target_=experiments.yearbook_net.YearbookNet seed=0)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

# 7 + 9: by time and by amount.
sweep trigger=time trigger.every=1d,2d,3d,5d,15d,25d,40d
sweep trigger=amount trigger.num_samples=100,200,500,1000,2500,5000,10000,15000,30000

# 84 + 9: by drift, without overlap.
drift=(trigger=drift trigger.warmup_intervals=10 +trigger@trigger.warmup_trigger=time trigger.warmup_trigger.every=3d
  trigger.windows.overlap=false 'trigger.windows.current_size=${trigger.windows.reference_size}')
sweep "${drift[@]}" trigger.interval=100,250,500,1000 trigger.windows.reference_size=1d,4d,10d trigger/decision=threshold \
  trigger.decision.threshold=0.03,0.05,0.07,0.09,0.12,0.15,0.2
drift+=(trigger.interval=250 trigger.windows.reference_size=5d)
sweep "${drift[@]}" trigger/decision=rolling_quantile trigger.decision.quantile=0.05,0.1,0.2,0.3
sweep "${drift[@]}" trigger/decision=rolling_average trigger.decision.deviation=0.025,0.05,0.1,0.2,0.3

# 23: by performance, without a warm-up.
accuracy=(trigger=performance trigger.interval=500 trigger.warmup_intervals=0)
sweep "${accuracy[@]}" trigger.threshold=0.7,0.75,0.8,0.85,0.9,0.95
sweep "${accuracy[@]}" trigger/decision=rolling_average trigger.decision.window=10 \
  trigger.decision.deviation=0.025,0.05,0.1,0.2,0.3
sweep "${accuracy[@]}" trigger.metric=avoidable_misclassifications trigger.expected_accuracy=0.9 \
  trigger.allow_reduction=true,false trigger/decision=threshold trigger.decision.threshold=100,200,500,1000,2000,5000

# 28 + 56: by cost. The reference multiplies regret by 0.01 ... 1 seconds of training; here that divides the cost.
cost=(trigger.interval=100,250,500,1000 trigger.cost_model=seconds trigger.regret_per_cost=100,50,20,10,5,2,1)
sweep trigger=latency_cost "${cost[@]}" trigger.cost_window=20
sweep trigger=misclassification_cost "${cost[@]}" trigger.cost_window=50 trigger.expected_accuracy=0.9 \
  trigger.allow_reduction=true,false

# 1: drift or performance, whichever is first.
sweep +experiment/policy=drift_or_accuracy

finish yearbook_policies paper
