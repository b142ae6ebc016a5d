#!/usr/bin/env bash
# On which samples to retrain: the paper's 93 pipelines on Yearbook, 84 on arXiv and 84 on CGLM.
#   experiments/paper_selection/run.sh yearbook YEARBOOK.parquet [OVERRIDE...]
#   [DISTILBERT=FOLDER] experiments/paper_selection/run.sh arxiv TITLES [OVERRIDE...]
#   experiments/paper_selection/run.sh cglm CGLM.csv [OVERRIDE...]
# README.md says what the files must hold, and where CGLM's first weights come from; $RESNET18 names those of its
# irreducible model. Runs go to $ROOT (default: outputs/paper_selection). On a GPU, add training.accelerator=gpu.
set -euo pipefail
usage="usage: experiments/paper_selection/run.sh yearbook FILE | arxiv FILE | cglm FILE, then [OVERRIDE...]"
root=${ROOT:-outputs/paper_selection}/${1:?$usage}
common=(+experiment/paper="$1_selection" seed=42,99,12)
drawn=(uniform class_balanced rs2 rs2_no_replacement)
scored=(loss grad_norm rho_loss margin least_confidence entropy)
data=${2:?$usage}
own=("${@:3}")
case $1 in
  yearbook)
    common+=(dataset=table dataset.path="$data" dataset.timestamp=timestamp dataset.timestamp_unit=s
      dataset.label=label model._target_=experiments.yearbook_net.YearbookNet)
    warmup=2
    ;;
  arxiv) # the paper has no irreducible model for titles
    scored=(loss grad_norm margin least_confidence entropy)
    warmup=1
    ;;
  cglm) # nor a balanced selection of 6,404 classes
    common+=(dataset.size=224 dataset.test_fraction=0.1)
    drawn=(uniform rs2 rs2_no_replacement)
    scored=(loss grad_norm margin least_confidence entropy)
    irreducible=(+model@selector.irreducible_model=resnet) # of 18 layers
    if [[ -n ${RESNET18-} ]]; then
      irreducible+=(+selector.irreducible_model.initial_weights="$RESNET18"
        "+selector.irreducible_model.fresh_layers=[fc]")
    fi
    warmup=5
    ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
source "$(dirname "${BASH_SOURCE[0]}")/../grid.sh"
if [[ $1 == cglm ]]; then
  landmarks "$data"
elif [[ $1 == arxiv ]]; then
  titles "$data" training.optimizer._target_=torch.optim.AdamW training.optimizer.lr=2e-5
fi
one_of() { local IFS=,; echo "$*"; }

sweep selector=new_data
shares=(selector.ratio=0.125,0.5,0.25 selector.warmup_triggers="$warmup")
sweep selector="$(one_of "${drawn[@]}" "${scored[@]}")" "${shares[@]}"
if [[ $1 == cglm ]]; then
  sweep selector=rho_loss "${shares[@]}" "${irreducible[@]}"
fi

finish paper_selection paper
