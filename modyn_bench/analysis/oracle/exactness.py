"""Whether the models of a dense run are those that any part of its triggers would have trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modyn_bench.config import ReplayConfig, TrainingConfig

_PRESAMPLING = "modyn_bench.selectors.presampling"
_DOWNSAMPLING = "modyn_bench.selectors.downsampling"
_ALL = {"history": "all"}

COMPOSED = "modyn_bench.selectors.coreset.Coreset"
"""As stateless as its two parts."""

STATELESS: dict[str, Mapping[str, object]] = {
    "modyn_bench.selectors.new_data.NewData": _ALL,
    f"{_PRESAMPLING}.uniform.Uniform": _ALL,
    f"{_PRESAMPLING}.class_balanced.ClassBalanced": _ALL,
    f"{_PRESAMPLING}.column_balanced.ColumnBalanced": _ALL,
    f"{_PRESAMPLING}.recency.Recency": _ALL,
    f"{_PRESAMPLING}.reservoir.Reservoir": {"with_new": False},
    f"{_DOWNSAMPLING}.craig.Craig": _ALL,
    f"{_DOWNSAMPLING}.entropy.Entropy": _ALL,
    f"{_DOWNSAMPLING}.grad_match.GradMatch": _ALL,
    f"{_DOWNSAMPLING}.grad_norm.GradNorm": _ALL,
    f"{_DOWNSAMPLING}.k_center.KCenter": _ALL,
    f"{_DOWNSAMPLING}.least_confidence.LeastConfidence": _ALL,
    f"{_DOWNSAMPLING}.loss.Loss": _ALL,
    f"{_DOWNSAMPLING}.margin.Margin": _ALL,
    f"{_DOWNSAMPLING}.rs2.Rs2": _ALL,
    f"{_DOWNSAMPLING}.rs2_no_replacement.Rs2NoReplacement": _ALL,
    f"{_DOWNSAMPLING}.submodular.Submodular": _ALL,
}
"""Selectors that choose the same at a trigger, whatever was triggered before, and the options under which they do."""

STATEFUL = {
    f"{_PRESAMPLING}.freshness.Freshness": "it knows what earlier trainings used",
    f"{_PRESAMPLING}.replay.Replay": "what is new depends on the last training",
    f"{_PRESAMPLING}.schedule.Schedule": "whose turn it is depends on the number of trainings",
    f"{_PRESAMPLING}.trigger_balanced.TriggerBalanced": "its groups are what was new at each training",
    f"{_PRESAMPLING}.uniform_no_replacement.UniformNoReplacement": "it knows what earlier trainings used",
    f"{_DOWNSAMPLING}.el2n.El2n": "it chooses by what earlier trainings recorded",
    f"{_DOWNSAMPLING}.forgetting.Forgetting": "it chooses by what earlier trainings recorded",
    f"{_DOWNSAMPLING}.infobatch.Infobatch": "it chooses by what earlier trainings recorded",
    f"{_DOWNSAMPLING}.rho_loss.RhoLoss": "its second models keep the preprocessing of their first training",
}
"""Selectors whose choice depends on earlier triggers, and why."""

_LAST_SHARED_WARMUP = 1  # the first trigger is the same in all schedules


def reasons_against(config: Mapping[str, Any], *, from_the_first: bool = True) -> tuple[str, ...]:
    """Say why a run's models may differ from those that a part of its triggers would have trained.

    Without a reason they are the same to the bit: every training starts anew, from a seed that derives from the data's
    last key, on what the data alone determines, with the preprocessing of the first trigger.

    Args:
        config: The run's resolved configuration, as its manifest holds it.
        from_the_first: Whether the part begins with the run's first trigger.

    Returns:
        Reasons, each beginning with the key that it is about; none if the models are the same.

    Example:
        >>> new_data = {"_target_": "modyn_bench.selectors.new_data.NewData", "history": "all"}
        >>> reasons_against({"selector": new_data, "training": {"start_from": "scratch"}})
        ()
        >>> reasons_against({"selector": new_data | {"history": 0}, "training": {"start_from": "scratch"}})
        ('selector.history=0: the data in scope depends on earlier triggers, unless it is all',)
    """
    return (
        *_of_training(config, from_the_first),
        *_of_replay(config),
        *_of_selector(config.get("selector") or {}, "selector"),
    )


def _of_training(config: Mapping[str, Any], from_the_first: bool) -> Iterator[str]:
    training = config.get("training") or {}
    if training.get("start_from", TrainingConfig.start_from) == "previous":
        yield "training.start_from=previous: a model depends on those before it"
    if training.get("fit_on", TrainingConfig.fit_on) == "first_trigger" and not from_the_first:
        yield "training.fit_on=first_trigger: preprocessing was fitted on the data of an earlier trigger"


def _of_replay(config: Mapping[str, Any]) -> Iterator[str]:
    delay = (config.get("replay") or {}).get("activation_delay", ReplayConfig.activation_delay)
    if delay == "measured":
        yield "replay.activation_delay=measured: the seconds of a training are not the same in another run"


def _of_selector(config: Mapping[str, Any], place: str) -> Iterator[str]:
    target = str(config.get("_target_"))
    warmup = config.get("warmup_triggers", 0)
    if warmup > _LAST_SHARED_WARMUP:
        yield f"{place}.warmup_triggers={warmup}: which trainings are a warm-up depends on how many came before"
    if target == COMPOSED:
        yield from _of_selector(config.get("presampling") or {}, f"{place}.presampling")
        downsampling = {**(config.get("downsampling") or {}), **_ALL}  # its scope is that of the presampling
        yield from _of_selector(downsampling, f"{place}.downsampling")
    elif target in STATEFUL:
        yield f"{place} {target.rpartition('.')[2]}: {STATEFUL[target]}"
    elif target not in STATELESS:
        yield f"{place} {target}: it is not known whether its choice depends on earlier triggers"
    else:
        for key, needed in STATELESS[target].items():
            if config.get(key) != needed:
                yield _explain(f"{place}.{key}={config.get(key)}", key)


def _explain(setting: str, key: str) -> str:
    if key == "history":
        return f"{setting}: the data in scope depends on earlier triggers, unless it is all"
    return f"{setting}: what is new depends on the last training; without new data apart it does not"
