"""Every distance equals what SciPy, scikit-learn, POT or the definition in plain NumPy says of the same windows."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from scipy import stats
from scipy.spatial import distance as scipy_distance
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from modyn_bench.drift.column_test import combine_columns
from modyn_bench.drift.confidence import ConfidenceDrop
from modyn_bench.drift.cramer_von_mises import CramerVonMises
from modyn_bench.drift.domain_classifier import DomainClassifier, auc, logistic_regression
from modyn_bench.drift.drifted_columns import DriftedColumns
from modyn_bench.drift.hellinger import Hellinger
from modyn_bench.drift.kolmogorov_smirnov import KolmogorovSmirnov
from modyn_bench.drift.label_shift import LabelShift
from modyn_bench.drift.mean_distance import METRICS, MeanDistance
from modyn_bench.drift.pca import Pca
from modyn_bench.drift.sliced_wasserstein import SlicedWasserstein
from modyn_bench.drift.wasserstein import Wasserstein
from modyn_bench.seeding import derive

SHAPES = ((50, 50, 3), (40, 70, 4), (90, 31, 2), (2, 2, 1), (2, 9, 3), (30, 41, 80))
WINDOWS = [f"{kind}-{n}x{m}x{d}" for n, m, d in SHAPES for kind in ("continuous", "tied", "untidy")]
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning:sklearn"),
]


def windows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two windows, the second moved a little: without ties, of few whole numbers, or with constants and copies."""
    kind, _, shape = name.partition("-")
    n, m, d = (int(size) for size in shape.split("x"))
    generator = derive(0, "judged", name)
    x, y = generator.standard_normal((n, d)), 1.3 * generator.standard_normal((m, d)) + 0.4
    if kind == "tied":
        return np.round(2 * x), np.round(2 * y)
    if kind == "untidy":
        x[:, 0] = y[:, 0] = 3.25
        x[n // 2 :], y[m // 2 :] = x[: n - n // 2], y[: m - m // 2]
    return x, y


def score(distance, x, y, *seeds) -> float:
    """Fit and score, each with the generator of a seed or with none."""
    generators = [derive(seed, "judged") for seed in seeds] or [None, None]
    distance.fit(x, generators[0])
    return distance.score(y, generators[-1])


def middle_distribution_at(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ((values[:, None] <= points).mean(axis=0) + (values[:, None] < points).mean(axis=0)) / 2


@pytest.mark.parametrize("name", WINDOWS)
def test_kolmogorov_smirnov_statistics(name):
    x, y = windows(name)
    columns = range(x.shape[1])
    expected = [stats.ks_2samp(x[:, j], y[:, j], method="asymp").statistic for j in columns]
    assert score(KolmogorovSmirnov(combine="mean"), x, y) == pytest.approx(np.mean(expected), abs=1e-14)
    assert score(KolmogorovSmirnov(combine="max"), x, y) == pytest.approx(np.max(expected), abs=1e-14)


@pytest.mark.parametrize("name", WINDOWS)
def test_kolmogorov_smirnov_p_values_are_those_of_the_limit(name):
    x, y = windows(name)
    n, m = len(x), len(y)
    columns = range(x.shape[1])
    statistics = np.array([stats.ks_2samp(x[:, j], y[:, j], method="asymp").statistic for j in columns])
    p_values = stats.kstwobign.sf(np.sqrt(n * m / (n + m)) * statistics)
    expected = 1 - min(1.0, x.shape[1] * p_values.min())
    assert score(KolmogorovSmirnov(), x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (1500, 1000), (3000, 5000)])
def test_kolmogorov_smirnov_p_values_beside_the_exact_ones(n, m):
    """SciPy's asymptotic p-value takes the one-sample distribution of nm / (n + m) samples instead of the limit.

    Neither is exact. Of equal sizes the limit is the nearer one, of unequal sizes SciPy's; both are near enough.
    """
    x, y = derive(0, "exact").standard_normal(n), derive(1, "exact").standard_normal(m) + 2.2 / np.sqrt(n + m)
    exact = stats.ks_2samp(x, y, method="exact").pvalue
    ours = 1 - score(KolmogorovSmirnov(), x, y)
    assert 0.001 < exact < 0.9
    assert ours == pytest.approx(exact, rel=0.06)
    assert ours == pytest.approx(stats.ks_2samp(x, y, method="asymp").pvalue, rel=0.06)


@pytest.mark.parametrize("name", [name for name in WINDOWS if name.startswith("continuous")])
def test_cramer_von_mises_without_ties(name):
    x, y = windows(name)
    judged = [stats.cramervonmises_2samp(x[:, j], y[:, j], method="asymptotic") for j in range(x.shape[1])]
    statistics, p_values = (np.array([getattr(each, key) for each in judged]) for key in ("statistic", "pvalue"))
    assert score(CramerVonMises(combine="mean"), x, y) == pytest.approx(statistics.mean(), abs=1e-12)
    assert score(CramerVonMises(combine="max"), x, y) == pytest.approx(statistics.max(), abs=1e-12)
    expected = 1 - min(1.0, x.shape[1] * p_values.min())
    assert score(CramerVonMises(), x, y) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", WINDOWS)
def test_cramer_von_mises_by_definition(name):
    """Values count half at themselves: where some are equal, SciPy's mean ranks are no difference of distributions."""
    x, y = windows(name)
    n, m = len(x), len(y)
    expected = []
    for column, other in zip(x.T, y.T, strict=True):
        points = np.concatenate([column, other])
        apart = middle_distribution_at(column, points) - middle_distribution_at(other, points)
        expected.append(n * m / (n + m) ** 2 * (apart**2).sum() + 1 / (4 * (n + m)))
    assert score(CramerVonMises(combine="mean"), x, y) == pytest.approx(np.mean(expected), abs=1e-12)


def test_cramer_von_mises_of_a_constant_column_is_no_drift():
    """SciPy is certain of a difference here, only because one window holds more samples."""
    assert stats.cramervonmises_2samp(np.zeros(10), np.zeros(40), method="asymptotic").pvalue < 0.001
    assert score(CramerVonMises(), np.zeros(10), np.zeros(40)) < 0.01


@pytest.mark.parametrize("size", [100, 1000, 20_000])
def test_cramer_von_mises_is_certain_of_windows_apart(size):
    """The statistic grows with the windows, and the series of its distribution must not give way."""
    x = derive(0, "apart").standard_normal(size)
    assert score(CramerVonMises(), x, x + 100) == 1
    assert score(CramerVonMises(), x, x + 2) > 1 - 1e-12


def test_cramer_von_mises_does_not_take_ties_for_drift():
    """Half of the values are 0, as after a rectifier: at a level of 5 % not more alarms may be false."""
    scores = []
    for seed in range(300):
        generator = derive(seed, "zeros")
        x, y = (np.maximum(generator.standard_normal(size), 0) for size in (40, 160))
        scores.append(score(CramerVonMises(), x, y))
    assert np.mean(np.array(scores) > 0.95) <= 0.05


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("scaled", [False, True])
def test_wasserstein(name, scaled):
    x, y = windows(name)
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1) if scaled else np.ones(x.shape[1])
    expected = [stats.wasserstein_distance(x[:, j], y[:, j]) / spread[j] for j in range(x.shape[1])]
    assert score(Wasserstein(scaled=scaled), x, y) == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("scaled", [False, True])
def test_sliced_wasserstein(name, scaled):
    x, y = windows(name)
    distance = SlicedWasserstein(num_projections=17, scaled=scaled)
    value = score(distance, x, y, 5)
    directions = derive(5, "judged").standard_normal((x.shape[1], 17))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ot.sliced.sliced_wasserstein_distance(x, y, projections=directions, p=1)
    spread = np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()) if scaled else 1.0
    assert value == pytest.approx(float(expected) / (spread or 1.0), rel=1e-10)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("metric", METRICS)
def test_mean_distance(name, metric):
    x, y = windows(name)
    expected = getattr(scipy_distance, metric)(x.mean(axis=0), y.mean(axis=0))
    assert score(MeanDistance(metric=metric), x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("num_bins", [2, 7, 20])
def test_hellinger(name, num_bins):
    x, y = windows(name)
    expected = []
    for column, other in zip(x.T, y.T, strict=True):
        edges = np.quantile(column, np.arange(1, num_bins) / num_bins)
        p, q = (
            np.bincount([(value > edges).sum() for value in values], minlength=num_bins) / len(values)
            for values in (column, other)
        )
        expected.append(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2))
    assert score(Hellinger(num_bins=num_bins), x, y) == pytest.approx(np.mean(expected), abs=1e-12)


def test_hellinger_has_as_many_digits_as_its_input():
    x = derive(0, "digits").standard_normal((1001, 5))
    assert score(Hellinger(num_bins=7), x, derive(1, "order").permutation(x)) == 0


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5])
def test_drifted_columns(name, threshold):
    x, y = windows(name)
    by_ks = [stats.ks_2samp(x[:, j], y[:, j], method="asymp").statistic for j in range(x.shape[1])]
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    by_wasserstein = [stats.wasserstein_distance(x[:, j], y[:, j]) / spread[j] for j in range(x.shape[1])]
    for key, distances in (("kolmogorov_smirnov", by_ks), ("wasserstein", by_wasserstein)):
        distance = DriftedColumns(column_distance=key, column_threshold=threshold)
        assert score(distance, x, y) == np.mean(np.array(distances) > threshold + 1e-12)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_drifted_columns_compares_strictly(tenths):
    """The two distributions differ by exactly so many tenths, wherever along the column that is."""
    x = np.arange(10.0)
    distance = DriftedColumns(column_distance="kolmogorov_smirnov", column_threshold=tenths / 10)
    assert score(distance, x, x + tenths) == 0
    assert score(distance, x, x + tenths + 0.5) == 1 or tenths == 9


@pytest.mark.parametrize("num_classes", [2, 5, 40])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (7, 300), (1, 1)])
def test_label_shift(num_classes, n, m):
    generator = derive(0, "labels", num_classes, n)
    p, q = generator.dirichlet(np.ones(num_classes), n), generator.dirichlet(np.full(num_classes, 0.3), m)
    counts = [np.bincount(each.argmax(axis=1), minlength=num_classes) for each in (p, q)]
    expected = scipy_distance.jensenshannon(*counts, base=2) ** 2
    assert score(LabelShift(), p, q) == pytest.approx(expected, abs=1e-12)
    assert score(LabelShift(of="labels"), p.argmax(axis=1), q.argmax(axis=1)) == pytest.approx(expected, abs=1e-12)


def test_confidence_drop():
    p, q = derive(0, "sure").dirichlet(np.full(9, 0.2), 80), derive(1, "sure").dirichlet(np.ones(9), 33)
    assert score(ConfidenceDrop(), p, q) == pytest.approx(p.max(axis=1).mean() - q.max(axis=1).mean(), abs=1e-15)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("name", [name for name in WINDOWS if not name.endswith("x80")])
def test_logistic_regression(name, penalty):
    x, y = windows(name)
    rows, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    judge = LogisticRegression(C=penalty, tol=1e-10, max_iter=10_000).fit(rows, labels)
    weights = logistic_regression(torch.from_numpy(rows), torch.from_numpy(labels).double(), penalty).numpy()
    np.testing.assert_allclose(rows @ weights[:-1] + weights[-1], judge.decision_function(rows), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize("num_folds", [2, 5])
@pytest.mark.parametrize("name", [name for name in WINDOWS if not name.split("-")[1].startswith("2x")])
def test_domain_classifier(name, num_folds, penalty):
    x, y = windows(name)
    draw = derive(3, "judged")
    folds = np.concatenate([draw.permutation(size) % num_folds for size in (len(x), len(y))])
    rows, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    total = 0.0
    for fold in range(num_folds):
        inside = folds == fold
        mean, spread = rows[~inside].mean(axis=0), rows[~inside].std(axis=0)
        scaled = (rows - mean) / np.where(spread > 1e-12, spread, 1)
        judge = LogisticRegression(C=penalty, tol=1e-10, max_iter=10_000).fit(scaled[~inside], labels[~inside])
        scores = judge.decision_function(scaled[inside])
        total += roc_auc_score(labels[inside], scores.round(6)) * inside.sum()
    value = score(DomainClassifier(num_folds=num_folds, penalty=penalty), x, y, 0, 3)
    # Rows that are equal, or nearly, are ranked by the last digits of two solvers.
    assert value == pytest.approx(total / len(rows), abs=1e-12 if name.startswith("continuous") else 5e-3)


@pytest.mark.parametrize("num_values", [1, 2, 5, 1000])
def test_auc_with_ties(num_values):
    generator = derive(0, "auc", num_values)
    for size in (2, 3, 50, 400):
        scores, positive = generator.integers(0, num_values, size) / 7, generator.random(size) < 0.4
        positive[:2] = True, False
        value = auc(torch.from_numpy(scores), torch.from_numpy(positive))
        assert value == pytest.approx(roc_auc_score(positive, scores), abs=1e-14)


@pytest.mark.parametrize("num_components", [1, 3, 200])
@pytest.mark.parametrize("name", WINDOWS)
def test_pca(name, num_components):
    x, y = windows(name)
    rank = np.linalg.matrix_rank(x - x.mean(axis=0))
    judge = PCA(min(num_components, *x.shape), svd_solver="full").fit(x)
    pca = Pca(num_components)
    pca.fit(torch.from_numpy(x))
    values = pca.transform(torch.from_numpy(y)).numpy()
    assert values.shape == (len(y), min(num_components, *x.shape))
    signs = np.sign(judge.components_[np.arange(len(judge.components_)), np.abs(judge.components_).argmax(axis=1)])
    np.testing.assert_allclose(values[:, :rank], (judge.transform(y) * signs)[:, :rank], atol=1e-8)


@pytest.mark.parametrize("num_columns", [1, 2, 13, 512])
@pytest.mark.parametrize("power", [1, 4])
def test_corrections(num_columns, power):
    p_values = derive(0, "p", num_columns).random(num_columns) ** power / power
    statistics = np.arange(num_columns, dtype=np.float64)

    def combined(combine: str, correction: str = "bonferroni") -> float:
        return combine_columns(statistics, p_values, combine=combine, correction=correction)

    adjusted = stats.false_discovery_control(p_values, method="bh")
    assert combined("p_value", "fdr") == pytest.approx(1 - adjusted.min(), abs=1e-12)
    assert combined("p_value") == pytest.approx(max(0, 1 - num_columns * p_values.min()), abs=1e-12)
    assert (combined("mean"), combined("max")) == (statistics.mean(), num_columns - 1)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e9 + 0.1, -7e-7])
@pytest.mark.parametrize("size", [3, 10, 49, 1000])
def test_constant_columns_are_not_divided_by_the_rounding_of_their_mean(constant, size):
    x, y = np.full((size, 2), constant), np.full((size + 1, 2), constant + 0.5)
    for kind in (Wasserstein, SlicedWasserstein):
        assert score(kind(scaled=True), x, y) == score(kind(scaled=False), x, y) < 1
    assert score(DriftedColumns(column_threshold=1.0), x, y) == 0
    one_differs = np.concatenate([x, x, x, x])
    one_differs[0, 0] += 0.25
    if size > 3:
        assert score(DomainClassifier(), one_differs, one_differs) < 0.6
