#!/usr/bin/env bash
# How to train on arXiv titles: the 16 pipelines from which the paper chose its options of training.
#   experiments/arxiv_baselines/run.sh TITLES [OVERRIDE...]
# README.md says what the file must hold. With DISTILBERT=FOLDER in the environment the network is the paper's, whose weights
# and tokenizer lie there, else the small text classifier. Runs go to $ROOT (default: outputs/arxiv_baselines). On a GPU, add
# training.accelerator=gpu.
set -euo pipefail
data=${1:?usage: experiments/arxiv_baselines/run.sh TITLES [OVERRIDE...]}
own=("${@:2}")
root=${ROOT:-outputs/arxiv_baselines}
common=(+experiment/paper=arxiv_baselines)
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"
titles "$data"

sweep training.optimizer._target_=torch.optim.AdamW,torch.optim.SGD training.optimizer.lr=2e-5,5e-5 training.epochs=5,10 \
  'training.schedule=null,{_target_: torch.optim.lr_scheduler.CosineAnnealingLR, interval: step, T_max: null}'

finish arxiv_baselines paper
