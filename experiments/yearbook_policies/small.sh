#!/usr/bin/env bash
# The kinds of triggers that the other triggering grids lack, on a tenth of the bundled arXiv titles: 16 pipelines for two
# cores; and one that the reference gave up, a permutation test, which README.md and REPRODUCTION.md come back to.
#   experiments/yearbook_policies/small.sh [OVERRIDE...]
# Runs go to $ROOT (default: outputs/yearbook_policies_small).
set -euo pipefail
own=("$@")
root=${ROOT:-outputs/yearbook_policies_small}
common=(dataset.used_fraction=0.1 seed=0 training.epochs=5 training.batch_size=64 replay.flush=false)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep trigger=time trigger.every=1y,2y
blocks=(trigger.interval=100)
warmup=(trigger.warmup_intervals=10 +trigger@trigger.warmup_trigger=time trigger.warmup_trigger.every=2y)
windows=(trigger.windows.overlap=false trigger.windows.reference_size=1y trigger.windows.current_size=1y)
sweep trigger=drift "${blocks[@]}" "${warmup[@]}" "${windows[@]}" trigger/decision=threshold \
  trigger.decision.threshold=0.01,0.02
sweep trigger=drift "${blocks[@]}" "${warmup[@]}" "${windows[@]}" trigger/distance=kernel_two_sample \
  trigger/decision=hypothesis_test
accuracy=(trigger=performance "${blocks[@]}" trigger.warmup_intervals=0)
sweep "${accuracy[@]}" trigger.threshold=0.1,0.2
sweep "${accuracy[@]}" trigger.metric=avoidable_misclassifications trigger.expected_accuracy=0.3 \
  trigger.allow_reduction=true,false trigger/decision=threshold trigger.decision.threshold=50,200
sweep trigger=latency_cost "${blocks[@]}" trigger.regret_per_cost=null,1e5,1e6
sweep trigger=misclassification_cost "${blocks[@]}" trigger.regret_per_cost=null,1e5 trigger.expected_accuracy=0.3 \
  trigger.allow_reduction=false
sweep +experiment/policy=drift_or_accuracy trigger.members.{drift,performance}.interval=100 \
  trigger.members.drift.windows.{reference_size,current_size}=1y trigger.members.drift.warmup_trigger.every=2y \
  trigger.members.drift.decision.deviation=1 trigger.members.performance.threshold=0.1

finish yearbook_policies small
