#!/usr/bin/env bash
# When to retrain on arXiv titles: the 50 pipelines of the paper.
#   experiments/arxiv_triggering/run.sh TITLES [OVERRIDE...]
# README.md says what the file must hold. With DISTILBERT=FOLDER in the environment the network is the paper's, whose weights
# and tokenizer lie there, else the small text classifier. Runs go to $ROOT (default: outputs/arxiv_triggering). On a GPU, add
# training.accelerator=gpu; a second terminal with the same command takes the jobs that the first one does not hold.
set -euo pipefail
data=${1:?usage: experiments/arxiv_triggering/run.sh TITLES [OVERRIDE...]}
own=("${@:2}")
root=${ROOT:-outputs/arxiv_triggering}
common=(+experiment/paper=arxiv_triggering)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"
titles "$data" training.optimizer._target_=torch.optim.AdamW training.optimizer.lr=2e-5

# 15: by time, from 1990 on, and by amount.
sweep seed=42,99,12 trigger=time trigger.every=1y,3y,5y trigger.start=1990-01-01
sweep seed=42,99,12 trigger=amount trigger.num_samples=30000,50000

# 35: by drift and by top-2 accuracy, every 5,000 titles. Thresholds on accuracy have no warm-up.
blocks=(seed=42 trigger.interval=5000)
warmup=(trigger.warmup_intervals=4 +trigger@trigger.warmup_trigger=time trigger.warmup_trigger.every=1y
  trigger.warmup_trigger.start=1990-01-01)
drift=("${blocks[@]}" "${warmup[@]}" trigger=drift trigger.windows.reference_size=1y,2y
  'trigger.windows.current_size=${trigger.windows.reference_size}')
sweep "${drift[@]}" trigger/decision=threshold trigger.decision.threshold=0.02,0.01,0.005,0.002 trigger.sample_size=10000
sweep "${drift[@]}" trigger/decision=rolling_quantile trigger.decision.window=15,30 trigger.decision.quantile=0.05,0.1,0.2
sweep "${drift[@]}" trigger/decision=rolling_average trigger.decision.window=15,30 trigger.decision.deviation=1
accuracy=("${blocks[@]}" trigger=performance trigger.metric=top_2_accuracy)
sweep "${accuracy[@]}" trigger.warmup_intervals=0 trigger.threshold=0.8,0.75,0.7
accuracy+=("${warmup[@]}")
sweep "${accuracy[@]}" trigger/decision=rolling_quantile trigger.decision.window=15,30 trigger.decision.quantile=0.05,0.1,0.2
sweep "${accuracy[@]}" trigger/decision=rolling_average trigger.decision.window=15,30 trigger.decision.deviation=0.2

finish arxiv_triggering paper
