"""MMD² and its test equal their definitions: double sums in float64, and the very same permutations one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modyn_bench.drift import kernels
from modyn_bench.drift.kernel_two_sample import KernelTwoSample
from modyn_bench.drift.kernels import KERNELS, median_bandwidth
from modyn_bench.drift.mmd import Mmd
from modyn_bench.seeding import derive

SHAPES = [(50, 50, 3), (40, 71, 4), (90, 31, 2), (2, 2, 1), (2, 9, 3), (30, 41, 80)]
BY_DEFINITION = {
    "rbf": lambda ratio: np.exp(-ratio),
    "laplace": lambda ratio: np.exp(-np.sqrt(ratio)),
    "inverse_multiquadric": lambda ratio: (1 + ratio) ** -0.5,
    "energy": lambda ratio: -np.sqrt(ratio),
}


@pytest.fixture(params=[4, 512])
def _tile(request, monkeypatch):
    """Tiles that the windows fill many of, and tiles that hold them whole."""
    monkeypatch.setattr(kernels, "_TILE_ON_CPU", request.param)


def make(shape: tuple[int, int, int], kind: str) -> tuple[np.ndarray, np.ndarray]:
    n, m, d = shape
    generator = derive(0, "kernels", kind, *shape)
    x, y = generator.standard_normal((n, d)), 1.2 * generator.standard_normal((m, d)) + 0.3
    if kind == "tied":
        return np.round(x), np.round(y)
    if kind == "untidy":
        x, y = x.round(2), y.round(2)
        x[:, 0] = y[:, 0] = 3.25
        x[n // 2 :], y[m // 2 :] = x[: n - n // 2], y[: m - m // 2]
    return x, y


def squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ((x[:, None] - y[None]) ** 2).sum(axis=2)


def median_by_definition(x: np.ndarray) -> float:
    """The lower median over pairs of rows that differ."""
    pairs = squared(x, x)[np.triu_indices(len(x), 1)]
    pairs = np.sort(pairs[pairs > 0])
    return pairs[(len(pairs) - 1) // 2] if len(pairs) else 1.0


def mmd_by_definition(x: np.ndarray, y: np.ndarray, kernel: str, bandwidth: float) -> float:
    """The unbiased estimate, as three double sums."""
    k = BY_DEFINITION[kernel]
    n, m = len(x), len(y)
    within = [k(squared(rows, rows) / bandwidth) for rows in (x, y)]
    sums = [matrix.sum() - np.trace(matrix) for matrix in within]
    return sums[0] / (n * (n - 1)) + sums[1] / (m * (m - 1)) - 2 * k(squared(x, y) / bandwidth).mean()


def test_the_kernels_are_all_here():
    assert set(BY_DEFINITION) == set(KERNELS)


@pytest.mark.usefixtures("_tile")
@pytest.mark.parametrize("kind", ["continuous", "tied", "untidy"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bandwidth", [None, 0.7])
def test_mmd(kernel, shape, kind, bandwidth):
    x, y = make(shape, kind)
    distance = Mmd(kernel=kernel, bandwidth=bandwidth)
    distance.fit(x)
    width = bandwidth or median_by_definition(x)
    tolerance = 1e-6 * (1 if kernel != "energy" else np.sqrt(squared(x, y).max() / width))
    assert distance.score(y) == pytest.approx(mmd_by_definition(x, y, kernel, width), abs=tolerance)


@pytest.mark.usefixtures("_tile")
@pytest.mark.parametrize("kind", ["continuous", "tied", "untidy"])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 9, 61, 600])
def test_median_bandwidth(size, kind):
    x, _ = make((size, 2, 3), kind)
    assert median_bandwidth(torch.from_numpy(x).float()) == pytest.approx(median_by_definition(x), rel=1e-5)


def test_median_bandwidth_of_rows_that_are_all_the_same():
    assert median_bandwidth(torch.full((9, 3), 2.5)) == 1.0
    assert median_bandwidth(torch.zeros(1, 3)) == 1.0


def test_median_bandwidth_of_many_rows_is_that_of_some(monkeypatch):
    x = torch.from_numpy(derive(0, "many").standard_normal((5000, 4))).float()
    chosen = x[torch.linspace(0, 4999, 100).round().long()]
    monkeypatch.setattr(kernels, "_MAX_MEDIAN_ROWS", 100)
    assert median_bandwidth(x) == pytest.approx(median_by_definition(chosen.double().numpy()), rel=1e-5)


@pytest.mark.usefixtures("_tile")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("num_permutations", [1, 60])
def test_kernel_two_sample(kernel, shape, num_permutations):
    x, y = make(shape, "continuous")
    assert p_value(x, y, kernel, num_permutations) == p_value_by_definition(x, y, kernel, num_permutations)


@pytest.mark.usefixtures("_tile")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("num_values", [1, 2, 3])
def test_kernel_two_sample_where_many_permutations_change_nothing(kernel, shape, num_values):
    """Rows of few kinds: a permutation whose statistic is the same counts, however its sum was rounded."""
    generator = derive(num_values, "few", *shape)
    n, m, d = shape
    x, y = (np.repeat(generator.integers(0, num_values, (size, 1)) * 0.7, d, axis=1) for size in (n, m))
    assert p_value(x, y, kernel, 60) == p_value_by_definition(x, y, kernel, 60)


def p_value(x: np.ndarray, y: np.ndarray, kernel: str, num_permutations: int) -> float:
    distance = KernelTwoSample(num_permutations=num_permutations, kernel=kernel)
    distance.fit(x)
    return pytest.approx(1 - distance.score(y, derive(1, "permute")), abs=1e-12)


def p_value_by_definition(x: np.ndarray, y: np.ndarray, kernel: str, num_permutations: int) -> float:
    """The pooled rows are permuted, and the statistic is computed from the start, one permutation at a time."""
    width, n = median_by_definition(x), len(x)
    pooled, draw = np.concatenate([x, y]), derive(1, "permute")
    observed = mmd_by_definition(x, y, kernel, width)
    num_as_large = 0
    for _ in range(num_permutations):
        rows = pooled[draw.permutation(len(pooled))]
        num_as_large += mmd_by_definition(rows[:n], rows[n:], kernel, width) >= observed - 1e-9
    return (1 + num_as_large) / (1 + num_permutations)


def test_the_test_holds_its_level():
    """Of windows from one distribution, p-values are uniform: at most about 10 % are below 10 %."""
    p_values = []
    for seed in range(200):
        generator = derive(seed, "level")
        distance = KernelTwoSample(num_permutations=49)
        distance.fit(generator.standard_normal((20, 5)))
        p_values.append(1 - distance.score(generator.standard_normal((35, 5)), generator))
    assert 0.04 < np.mean(np.array(p_values) <= 0.1 + 1e-9) < 0.17
    assert 0.42 < np.mean(p_values) < 0.58


def test_offsets_that_float32_cannot_hold_do_not_matter():
    """Times in seconds since 1970 differ by far less than float32 tells apart."""
    x, y = make((60, 80, 1), "continuous")
    near, far = Mmd(), Mmd()
    near.fit(x)
    far.fit(x + 1.7e9)
    assert far.score(y + 1.7e9) == pytest.approx(near.score(y), abs=1e-6)


def test_no_large_matrix_is_made():
    """However many rows there are, only one tile of the kernel matrix is in memory at a time."""
    x = torch.zeros(3000, 2)
    largest = max(tile.numel() for _, _, tile in kernels.kernel_tiles(x, "rbf", 1.0))
    assert largest <= 512 * 512
