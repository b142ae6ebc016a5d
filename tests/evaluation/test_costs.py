"""Sums of stages."""

from __future__ import annotations

import pandas as pd
import pytest

from modyn_bench.evaluation.costs import policy_costs, summarise_stages

COLUMNS = ["run_id", "trigger_index", "stage", "seconds", "num_samples", "forward_passes", "backward_passes"]
STAGES = pd.DataFrame(
    [
        ("b", 0, "train", 4.0, 10, 30.0, 30.0),
        ("b", 0, "predict", 1.0, 50, 50.0, 0.0),
        ("b", 0, "decide", 0.5, 10, 7.0, 0.0),
        ("b", None, "decide", 0.5, 5, 3.0, 0.0),
        ("b", 0, "audit", 2.0, 5, 0.0, 0.0),
        ("a", 0, "train", 1.0, 10, 10.0, 10.0),
    ],
    columns=COLUMNS,
)


def test_sums_by_run_and_stage_in_the_order_of_the_loop():
    made = summarise_stages(STAGES)
    assert made[["run_id", "stage"]].values.tolist() == [
        ["b", "decide"],
        ["b", "train"],
        ["b", "predict"],
        ["b", "audit"],
        ["a", "train"],
    ]
    assert made["seconds"].tolist() == [1.0, 4.0, 1.0, 2.0, 1.0]
    assert made["sample_passes"].tolist() == [10.0, 90.0, 50.0, 0.0, 30.0]
    assert made["share_of_seconds"].tolist() == pytest.approx([0.125, 0.5, 0.125, 0.25, 1.0])
    assert made["num_samples"].tolist() == [15, 10, 50, 5, 10]


def test_one_run_without_a_column_for_it_and_no_stages_at_all():
    made = summarise_stages(STAGES[STAGES["run_id"] == "a"].drop(columns="run_id"))
    assert made[["stage", "seconds"]].values.tolist() == [["train", 1.0]]
    assert summarise_stages(STAGES[:0]).empty
    assert policy_costs(STAGES[:0]).empty


def test_a_policy_does_not_pay_for_its_evaluation():
    made = policy_costs(STAGES)
    assert made["run_id"].tolist() == ["b", "a"]
    assert made["seconds"].tolist() == [7.0, 1.0]
    assert made["sample_passes"].tolist() == [100.0, 30.0]
    assert made["forward_passes"].tolist() == [40.0, 10.0]
