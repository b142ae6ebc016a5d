#!/usr/bin/env bash
# The same kinds of policies on a tenth of the bundled arXiv titles: 31 pipelines for two cores.
#   experiments/yearbook_triggering/small.sh [OVERRIDE...]
# Runs go to $ROOT (default: outputs/yearbook_triggering_small).
set -euo pipefail
own=("$@")
root=${ROOT:-outputs/yearbook_triggering_small}
common=(dataset.used_fraction=0.1 training.epochs=5 training.batch_size=64 replay.flush=false)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"

sweep seed=42,99,12 trigger=time trigger.every=1y,3y,5y
sweep seed=42,99,12 trigger=amount trigger.num_samples=250,500,1000
blocks=(seed=42 trigger.interval=100 trigger.warmup_intervals=10 +trigger@trigger.warmup_trigger=time
  trigger.warmup_trigger.every=2y)
drift=("${blocks[@]}" trigger=drift trigger.windows.reference_size=1y,2y
  'trigger.windows.current_size=${trigger.windows.reference_size}')
sweep "${drift[@]}" trigger/decision=threshold trigger.decision.threshold=0.01,0.02 trigger.sample_size=null
sweep "${drift[@]}" trigger/decision=rolling_quantile trigger.decision.quantile=0.05
sweep "${drift[@]}" trigger/decision=rolling_average trigger.decision.deviation=1
accuracy=("${blocks[@]}" trigger=performance)
sweep "${accuracy[@]}" trigger.threshold=0.1,0.15,0.2
sweep "${accuracy[@]}" trigger/decision=rolling_quantile trigger.decision.quantile=0.05
sweep "${accuracy[@]}" trigger/decision=rolling_average trigger.decision.deviation=0.2

finish yearbook_triggering small
