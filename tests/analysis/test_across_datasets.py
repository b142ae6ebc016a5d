"""Policies over several datasets: ranks and tests by their definitions, and words for what cannot be tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_runs as synthetic
from scipy import stats

from modyn_bench.analysis.report.comparisons import Comparisons, compare_paths
from modyn_bench.analysis.report.datasets import across_datasets
from modyn_bench.analysis.report.write import write_report

YEAR = synthetic.YEAR
LEVELS = {1: 0.30, 2: 0.25, 3: 0.20}  # by years between trainings


def write(root: Path, num_datasets: int, *, lacking: int | None = None) -> Path:
    """Three policies on some datasets, the first always the best; one dataset may lack the third."""
    for dataset in range(num_datasets):
        for every, level in LEVELS.items():
            if every == 3 and dataset == lacking:
                continue
            for seed in (0, 1) if dataset == 0 else (0,):
                synthetic.write_run(
                    root,
                    num_models=12 // every,
                    num_windows=12,
                    every=every * YEAR,
                    seed=seed,
                    level=level + 0.01 * dataset + 0.003 * seed,
                    fingerprint=f"{dataset:04d}",
                )
    return root


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Comparisons:
    return compare_paths([write(tmp_path_factory.mktemp("root"), 7)], min_coverage=0.3)


def test_ranks_and_tests_are_those_of_the_table(seven: Comparisons, tmp_path: Path) -> None:
    for folder in ("tables", "figures"):
        (tmp_path / folder).mkdir()
    (section, *_) = across_datasets(seven.kept, tmp_path)
    frame = pd.read_csv(tmp_path / "tables" / "datasets-accuracy.csv").set_index("policy")
    shown = seven.table[
        (seven.table["metric"] == "accuracy")
        & (seven.table["variant"] == "currently_active")
        & (seven.table["aggregate"] == "mean")
    ]
    expected = shown.pivot_table(index="policy", columns="dataset", values="value_mean")
    values = frame.drop(columns="rank")
    np.testing.assert_allclose(values, expected.loc[values.index, values.columns])
    ranks = stats.rankdata(-values.to_numpy(), axis=0).mean(axis=1)
    np.testing.assert_allclose(frame["rank"], ranks)
    assert frame["rank"].is_monotonic_increasing
    friedman = stats.friedmanchisquare(*values.to_numpy()).pvalue
    assert f"p = {friedman:.2g}, Friedman test" in section.statements[0]
    best, second = values.to_numpy()[:2]
    wilcoxon = stats.wilcoxon(best - second).pvalue
    assert (
        f"p = {min(1.0, 3 * wilcoxon):.2g} (Wilcoxon signed-rank test, corrected for 3 tests" in section.statements[1]
    )
    assert f"= {(best - second).mean():.4g} [" in section.statements[1]
    assert "7 datasets; other datasets" in section.statements[1]
    assert [file.name for file in section.files] == [
        "critical_difference-accuracy.png",
        "critical_difference-accuracy.pdf",
    ]
    assert all(file.stat().st_size > 1000 for file in section.files)


def test_a_report_on_few_datasets_only_describes(tmp_path: Path) -> None:
    write_report([write(tmp_path / "root", 2)], tmp_path / "report", min_coverage=0.3)
    page = (tmp_path / "report" / "index.html").read_text()
    assert "2 datasets: Accuracy" in page
    assert "no test: too few datasets, 2 of at least 5" in page
    assert "no p-value: too few datasets, 2 of at least 6" in page
    assert not list((tmp_path / "report" / "figures").glob("critical_difference*"))


def test_a_policy_that_a_dataset_lacks_is_left_out_by_name(tmp_path: Path) -> None:
    compared = compare_paths([write(tmp_path / "root", 5, lacking=2)], min_coverage=0.3)
    for folder in ("tables", "figures"):
        (tmp_path / folder).mkdir()
    (section, *_) = across_datasets(compared.kept, tmp_path)
    assert len(section.tables[0].rows) == 2
    assert section.statements[-1] == "Not on all of these datasets, and left out: every=1095d."
    assert "no test: too few pipelines, 2 of at least 3" in section.statements[0]


def test_one_dataset_has_no_such_section(tmp_path: Path) -> None:
    assert not list(across_datasets(compare_paths([write(tmp_path / "root", 1)]).kept, tmp_path))
