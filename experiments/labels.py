"""What a grid's runs are called in its results: made of their configuration alone, whatever their siblings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modyn_bench.runs.identity import short_name


def label_of(grid: str, config: Mapping[str, Any]) -> str:
    """Return what a grid varies, in words.

    Example:
        >>> time = {"_target_": "modyn_bench.triggers.time.Time", "every": "1d"}
        >>> label_of("yearbook_triggering", {"trigger": time})
        'time 1d'
    """
    if grid == "paper_selection":
        return of_selector(config["selector"])
    if grid in ("arxiv_baselines", "throughput"):
        return of_training(config["training"], grid)
    return of_trigger(config["trigger"])


def of_trigger(trigger: Mapping[str, Any]) -> str:
    """Return a triggering policy's kind, rule, windows and interval."""
    kind = short_name(trigger)
    if kind == "time":
        return f"time {trigger['every']}"
    if kind == "amount":
        return f"amount {trigger['num_samples']}"
    if kind == "ensemble":
        return "ensemble of " + ", ".join(sorted(trigger["members"]))
    words = [_RULES[kind](trigger)]
    if kind == "drift":
        words.append(f"windows {trigger['windows']['reference_size']}")
    if trigger.get("allow_reduction"):
        words.append("reduced")
    return ", ".join([*words, f"every {trigger['interval']}"])


def _of_drift(trigger: Mapping[str, Any]) -> str:
    return f"{short_name(trigger['distance'])} {of_decision(trigger['decision'])}"


def _of_performance(trigger: Mapping[str, Any]) -> str:
    if trigger["threshold"] is not None:
        return f"{trigger['metric']} below {trigger['threshold']}"
    return f"{trigger['metric']} {of_decision(trigger['decision'])}"


def _of_cost(trigger: Mapping[str, Any]) -> str:
    rate = trigger["regret_per_cost"]
    return f"{short_name(trigger)} {'as at first' if rate is None else f'{float(rate):g}'}"


_RULES = {
    "drift": _of_drift,
    "performance": _of_performance,
    "latency_cost": _of_cost,
    "misclassification_cost": _of_cost,
}


def of_decision(decision: Mapping[str, Any]) -> str:
    """Return a decision rule and its options."""
    kind = short_name(decision)
    if kind == "threshold":
        return f"above {decision['threshold']}"
    if kind == "hypothesis_test":
        return f"test at {decision['level']}"
    option = "quantile" if kind == "rolling_quantile" else "deviation"
    return f"{kind} {decision[option]} of {decision['window']}"


def of_selector(selector: Mapping[str, Any]) -> str:
    """Return a selector and its share."""
    kind = short_name(selector)
    return kind if kind == "new_data" else f"{kind} {selector['ratio']:.1%}"


def of_training(training: Mapping[str, Any], grid: str) -> str:
    """Return how a model is trained."""
    if grid == "throughput":
        return "shuffled" if training["shuffle"] else "in order"
    optimizer, schedule = training["optimizer"], training["schedule"]
    name = str(optimizer["_target_"]).rpartition(".")[2]
    return f"{name} {optimizer['lr']:g}, {training['epochs']} epochs, {'cosine' if schedule else 'constant'}"
