r"""How learning one period changes what a model is worth in others: averages of the period matrix :math:`R`.

Each function returns a row per model t, as if the run had ended with it, so that its last row is the measure of the
whole run: model_id, value (null where no term is defined), num_defined (terms that are), num_terms. Terms that are not
defined are left out of the average. ``gain(a, b)`` is a - b where higher values are better, else b - a. Periods count
from 1 here, as in the papers.

All take the matrix of one run, as ``periods.matrix_of`` makes it, which needs ``evaluation.models=all``.

Shapes: T models.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modyn_bench.analysis.continual.periods import Matrix
from modyn_bench.types import FloatArray


def average_accuracy(matrix: Matrix) -> pd.DataFrame:
    r"""Average what the newest model is worth in all periods so far.

    .. math:: \text{ACC}_t = \frac{1}{t} \sum_{i=1}^{t} R_{ti}

    Reference:
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS 2017, section 2 (ACC).
    """
    return _averages(matrix, matrix.by_period, _up_to(matrix, 0))


def learning_accuracy(matrix: Matrix) -> pd.DataFrame:
    r"""Average what every model so far is worth in its own period: plasticity, how well new data is learnt.

    .. math:: \text{LA}_t = \frac{1}{t} \sum_{i=1}^{t} R_{ii}

    Reference:
        Riemer et al., Learning to Learn without Forgetting by Maximizing Transfer and Minimizing Interference, ICLR
        2019 (learning accuracy).
    """
    own = np.diagonal(matrix.by_period)
    return _averages(matrix, np.broadcast_to(own, (len(own), len(own))), _up_to(matrix, 0))


def backward_transfer(matrix: Matrix) -> pd.DataFrame:
    r"""Average what the newest model gains in earlier periods on the models of those periods.

    .. math:: \text{BWT}_t = \frac{1}{t - 1} \sum_{i=1}^{t-1} \text{gain}(R_{ti}, R_{ii})

    Negative is forgetting.

    Reference:
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS 2017, section 2 (BWT).
    """
    worth = matrix.sign * matrix.by_period
    return _averages(matrix, worth - np.diagonal(worth)[None, :], _up_to(matrix, -1))


def forward_transfer(matrix: Matrix, *, baseline: float | None = None) -> pd.DataFrame:
    r"""Average what a model gains on a baseline in the period after its own, before that period was trained on.

    .. math:: \text{FWT}_t = \frac{1}{t - 1} \sum_{i=2}^{t} \text{gain}(R_{i-1,i}, b_i)

    Args:
        matrix: Of one run; see ``periods.matrix_of``.
        baseline: b, the same in all periods, such as 1 / C for guessing among C classes; ``None``: what the first model
            is worth there, so that FWT is what retraining is worth ahead of time. The second period, before which there
            is only the first model, is then left out: the sum begins at i = 3, and is over t - 2 terms.

    Reference:
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS 2017, section 2 (FWT).

    Deviation:
        The paper's baseline is a model with random weights, which a run does not keep.
    """
    values = matrix.by_period
    ahead = np.full(len(values), np.nan)
    ahead[1:] = np.diagonal(values, offset=1)
    gains = matrix.sign * (ahead - (values[0] if baseline is None else baseline))
    counted = _up_to(matrix, 0)
    counted[:, : 2 if baseline is None else 1] = False
    return _averages(matrix, np.broadcast_to(gains, counted.shape), counted)


def forgetting(matrix: Matrix) -> pd.DataFrame:
    r"""Average how much worse the newest model is in earlier periods than the best of the models before it.

    .. math:: F_t = \frac{1}{t - 1} \sum_{j=1}^{t-1} \max_{l < t} \text{gain}(R_{lj}, R_{tj})

    Reference:
        Chaudhry et al., Riemannian Walk for Incremental Learning: Understanding Forgetting and Intransigence, ECCV
        2018 (the forgetting measure).
    """
    worth = matrix.sign * matrix.by_period
    best_before = np.full_like(worth, np.nan)
    best_before[1:] = np.fmax.accumulate(worth, axis=0)[:-1]
    return _averages(matrix, best_before - worth, _up_to(matrix, -1))


def _up_to(matrix: Matrix, diagonal: int) -> NDArray[np.bool_]:
    """Return which periods (columns) count for each model t: up to t, or with -1 before it, shape (T, T)."""
    return np.tri(len(matrix.model_ids), k=diagonal, dtype=bool)


def _averages(matrix: Matrix, terms: FloatArray, counted: NDArray[np.bool_]) -> pd.DataFrame:
    """Average the terms (T, T) of each model that count and are defined."""
    defined = counted & ~np.isnan(terms)
    num_defined = defined.sum(axis=1)
    sums = np.where(defined, terms, 0.0).sum(axis=1)
    return pd.DataFrame(
        {
            "model_id": matrix.model_ids,
            "value": np.divide(sums, num_defined, out=np.full(len(sums), np.nan), where=num_defined > 0),
            "num_defined": num_defined,
            "num_terms": counted.sum(axis=1),
        }
    )
