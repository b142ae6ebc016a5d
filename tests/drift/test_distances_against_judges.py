"""Every distance against an independent judge: SciPy, scikit-learn, POT, or its definition in plain NumPy."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import chebyshev, cityblock, cosine, euclidean, jensenshannon
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from modyn_bench.drift.base import Distance
from modyn_bench.drift.confidence import ConfidenceDrop
from modyn_bench.drift.corrections import combine_columns
from modyn_bench.drift.cramer_von_mises import CramerVonMises
from modyn_bench.drift.domain_classifier import DomainClassifier, auc
from modyn_bench.drift.drifted_columns import DriftedColumns
from modyn_bench.drift.hellinger import Hellinger
from modyn_bench.drift.kernel_two_sample import KernelTwoSample
from modyn_bench.drift.kolmogorov_smirnov import KolmogorovSmirnov
from modyn_bench.drift.label_shift import LabelShift
from modyn_bench.drift.mean_distance import MeanDistance
from modyn_bench.drift.mmd import Mmd
from modyn_bench.drift.pca import Pca
from modyn_bench.drift.wasserstein import SlicedWasserstein, Wasserstein

KERNELS = {
    "rbf": lambda d2, b: np.exp(-d2 / b),
    "laplace": lambda d2, b: np.exp(-np.sqrt(d2 / b)),
    "inverse_multiquadric": lambda d2, b: 1 / np.sqrt(1 + d2 / b),
    "energy": lambda d2, b: -np.sqrt(d2 / b),
}


def windows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of windows: continuous and shifted, with ties, with constant and doubled rows, of one column."""
    rng = np.random.Generator(np.random.PCG64(len(name)))
    if name == "continuous":
        return rng.normal(size=(60, 5)), rng.normal(0.5, 1.5, size=(45, 5))
    if name == "ties":
        return rng.integers(0, 4, (50, 3)).astype(float), rng.integers(1, 5, (50, 3)).astype(float)
    if name == "constant":
        reference, current = rng.normal(size=(30, 3)), rng.normal(size=(40, 3))
        reference[:, 1] = current[:, 1] = 2.0
        reference[5:15] = reference[0]
        return reference, current
    return rng.normal(size=(80, 1)), rng.exponential(size=(33, 1))


NAMES = ("continuous", "ties", "constant", "one_column")


def scored(distance: Distance, reference: np.ndarray, current: np.ndarray, seed: int = 0) -> float:
    distance.fit(reference, np.random.Generator(np.random.PCG64(seed)))
    return distance.score(current, np.random.Generator(np.random.PCG64(seed)))


def mmd_by_definition(x: np.ndarray, y: np.ndarray, kernel: str, bandwidth: float | None) -> float:
    def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)

    within = squared(x, x)[np.triu_indices(len(x), 1)]
    above = np.sort(within[within > 0])
    b = bandwidth or (above[(len(above) - 1) // 2] if len(above) else 1.0)
    k = KERNELS[kernel]
    n, m = len(x), len(y)
    xx, yy = k(squared(x, x), b), k(squared(y, y), b)
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)
    return xx.sum() / (n * (n - 1)) + yy.sum() / (m * (m - 1)) - 2 * k(squared(x, y), b).mean()


@pytest.mark.parametrize("bandwidth", [None, 0.7])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", NAMES)
def test_mmd_is_its_double_sums(name: str, kernel: str, bandwidth: float | None) -> None:
    x, y = windows(name)
    expected = mmd_by_definition(x, y, kernel, bandwidth)
    assert scored(Mmd(kernel=kernel, bandwidth=bandwidth), x, y) == pytest.approx(expected, abs=2e-5)


def test_mmd_of_large_windows_is_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    import modyn_bench.drift.kernels as kernels

    x, y = windows("continuous")
    whole = scored(Mmd(), x, y)
    monkeypatch.setattr(kernels, "_MAX_ENTRIES", 100)
    assert scored(Mmd(), x, y) == pytest.approx(whole, abs=1e-6)


def test_far_from_the_origin_mmd_loses_nothing() -> None:
    x, y = windows("continuous")
    assert scored(Mmd(), x + 1000.0, y + 1000.0) == pytest.approx(scored(Mmd(), x, y), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_test_counts_the_same_permutations(name: str) -> None:
    x, y = windows(name)
    pooled, n = np.concatenate([x, y]), len(x)
    draw = np.random.Generator(np.random.PCG64(3))
    bandwidth = 1.3
    observed = mmd_by_definition(x, y, "rbf", bandwidth)
    values = []
    for _ in range(40):
        chosen = draw.permutation(len(pooled))[:n]
        rest = np.setdiff1d(np.arange(len(pooled)), chosen)
        values.append(mmd_by_definition(pooled[chosen], pooled[rest], "rbf", bandwidth))
    expected = (1 + sum(value >= observed for value in values)) / 41
    found = 1 - scored(KernelTwoSample(num_permutations=40, bandwidth=bandwidth), x, y, seed=3)
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_kernel_test_keeps_its_level() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    test = KernelTwoSample(num_permutations=39)
    rejected = [scored(test, *rng.normal(size=(2, 30, 2)), seed=seed) > 0.9 for seed in range(300)]
    assert stats.binomtest(sum(rejected), 300, 0.1).pvalue > 0.001


@pytest.mark.parametrize("name", NAMES)
def test_kolmogorov_smirnov_is_scipys(name: str) -> None:
    x, y = windows(name)
    judged = [stats.ks_2samp(a, b, method="asymp") for a, b in zip(x.T, y.T, strict=True)]
    assert scored(KolmogorovSmirnov(combine="mean"), x, y) == pytest.approx(np.mean([j.statistic for j in judged]))
    assert scored(KolmogorovSmirnov(combine="max"), x, y) == pytest.approx(max(j.statistic for j in judged))


@pytest.mark.parametrize("correction", ["bonferroni", "fdr"])
def test_its_p_values_are_kolmogorovs(correction: str) -> None:
    """SciPy's two-sample p-value is that of a finite sample; Kolmogorov's limit differs by less than 0.01 here."""
    rng = np.random.Generator(np.random.PCG64(1))
    x, y = rng.normal(size=(2000, 4)), rng.normal(0.03, 1, size=(1500, 4))
    judged = np.array([stats.ks_2samp(a, b, method="asymp").pvalue for a, b in zip(x.T, y.T, strict=True)])
    expected = {
        "bonferroni": min(1.0, judged.min() * 4),
        "fdr": stats.false_discovery_control(judged, method="bh").min(),
    }[correction]
    assert 1 - scored(KolmogorovSmirnov(correction=correction), x, y) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_cramer_von_mises_is_scipys(name: str) -> None:
    x, y = windows(name)
    if name == "constant":
        x, y = np.delete(x, 1, axis=1), np.delete(y, 1, axis=1)
    judged = [stats.cramervonmises_2samp(a, b, method="asymptotic") for a, b in zip(x.T, y.T, strict=True)]
    assert scored(CramerVonMises(combine="mean"), x, y) == pytest.approx(np.mean([j.statistic for j in judged]))
    expected = min(1.0, min(j.pvalue for j in judged) * len(judged))
    assert 1 - scored(CramerVonMises(), x, y) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_are_scipys(p_values: list[float]) -> None:
    p = np.array(p_values)
    fdr = 1 - combine_columns(p, p, combine="p_value", correction="fdr")
    assert fdr == pytest.approx(stats.false_discovery_control(p, method="bh").min(), abs=1e-12)
    bonferroni = 1 - combine_columns(p, p, combine="p_value", correction="bonferroni")
    assert bonferroni == pytest.approx(min(1.0, p.min() * len(p)), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_wasserstein_is_scipys(name: str) -> None:
    x, y = windows(name)
    judged = [stats.wasserstein_distance(a, b) for a, b in zip(x.T, y.T, strict=True)]
    spread = np.where(x.std(axis=0) > 1e-12, x.std(axis=0), 1.0)
    assert scored(Wasserstein(scaled=False), x, y) == pytest.approx(np.mean(judged))
    assert scored(Wasserstein(), x, y) == pytest.approx(np.mean(judged / spread))
    drifted = np.mean(np.array(judged) / spread > 0.3)
    assert scored(DriftedColumns(column_threshold=0.3), x, y) == drifted
    ks = [stats.ks_2samp(a, b).statistic > 0.4 for a, b in zip(x.T, y.T, strict=True)]
    by_ks = DriftedColumns(column_distance="kolmogorov_smirnov", column_threshold=0.4)
    assert scored(by_ks, x, y) == np.mean(ks)


@pytest.mark.parametrize("name", NAMES)
def test_sliced_wasserstein_is_pots(name: str) -> None:
    x, y = windows(name)
    distance = SlicedWasserstein(num_projections=17, scaled=False)
    found = scored(distance, x, y)
    projections = distance._directions.numpy()
    assert projections.shape == (x.shape[1], 17)
    np.testing.assert_allclose(np.linalg.norm(projections, axis=0), 1.0)
    assert found == pytest.approx(ot.sliced_wasserstein_distance(x, y, projections=projections, p=1))


@pytest.mark.parametrize("name", NAMES)
def test_hellinger_is_that_of_histograms(name: str) -> None:
    x, y = windows(name)
    expected = []
    for a, b in zip(x.T, y.T, strict=True):
        edges = np.quantile(a, np.arange(1, 8) / 8)
        p, q = (
            np.bincount(np.searchsorted(edges, values, side="left"), minlength=8) / len(values) for values in (a, b)
        )
        expected.append(np.sqrt(max(0.0, 1 - np.sqrt(p * q).sum())))
    assert scored(Hellinger(num_bins=8), x, y) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_domain_classifier_is_scikit_learns_on_the_same_folds(name: str) -> None:
    x, y = windows(name)
    draw = np.random.Generator(np.random.PCG64(5))
    folds = np.concatenate([draw.permutation(len(part)) % 4 for part in (x, y)])
    rows, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    areas, sizes = [], []
    for fold in range(4):
        judged = folds == fold
        scaler = StandardScaler().fit(rows[~judged])
        model = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000)
        model.fit(scaler.transform(rows[~judged]), labels[~judged])
        areas.append(roc_auc_score(labels[judged], model.decision_function(scaler.transform(rows[judged]))))
        sizes.append(judged.sum())
    found = scored(DomainClassifier(num_folds=4, penalty=0.5), x, y, seed=5)
    assert found == pytest.approx(np.average(areas, weights=sizes), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=60)
def test_the_area_under_the_curve_is_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    scores, positive = (np.array(values) for values in zip(*pairs, strict=True))
    if positive.all() or not positive.any():
        return
    found = auc(torch.from_numpy(scores.astype(float)), torch.from_numpy(positive))
    assert found == pytest.approx(roc_auc_score(positive, scores))


@pytest.mark.parametrize(
    ("metric", "judge"),
    [("euclidean", euclidean), ("cosine", cosine), ("cityblock", cityblock), ("chebyshev", chebyshev)],
)
def test_mean_distances_are_scipys(metric: str, judge) -> None:  # type: ignore[no-untyped-def]
    x, y = windows("continuous")
    assert scored(MeanDistance(metric=metric), x, y) == pytest.approx(judge(x.mean(0), y.mean(0)), rel=1e-5)


def test_label_shift_is_scipys_jensen_shannon() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    old, new = rng.integers(0, 5, 200), rng.integers(2, 8, 150)
    p, q = (np.bincount(labels, minlength=8) / len(labels) for labels in (old, new))
    assert scored(LabelShift(of="labels"), old, new) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    predicted = LabelShift()
    assert predicted.reads == "probabilities"
    assert scored(predicted, np.eye(8)[old], np.eye(8)[new]) == pytest.approx(jensenshannon(p, q, base=2) ** 2)


def test_confidence_is_the_largest_probability() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    old, new = rng.dirichlet(np.ones(4) * 0.2, 50), rng.dirichlet(np.ones(4), 70)
    assert scored(ConfidenceDrop(), old, new) == pytest.approx(old.max(1).mean() - new.max(1).mean())


@pytest.mark.parametrize("num_components", [1, 3, 10])
def test_principal_components_are_scikit_learns(num_components: int) -> None:
    x, y = windows("continuous")
    pca = Pca(num_components)
    pca.fit(torch.from_numpy(x))
    judge = PCA(min(num_components, 5)).fit(x)
    np.testing.assert_allclose(np.abs(pca.transform(torch.from_numpy(y)).numpy()), np.abs(judge.transform(y)))
