"""Names stand at their ranks, and bars join what does not differ."""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from modyn_bench.analysis.figures.critical_difference import cliques, critical_difference
from modyn_bench.analysis.statistics.ranks import rank_pipelines
from modyn_bench.errors import RequestError
from modyn_bench.seeding import derive

RANKS = pd.DataFrame({"policy": list("dbca"), "rank": [4.6, 1.8, 2.6, 1.0]})


def scale(ax) -> tuple[float, float]:
    """Where ranks 1 and k are."""
    axis = ax.lines[0].get_xdata()
    return axis[0], axis[1]


def of_kind(ax, kind: str) -> list[np.ndarray]:
    return [item.get_xdata() for item in ax.lines if item.get_gid() == kind]


def test_every_policy_is_joined_to_its_rank() -> None:
    ranks = RANKS.assign(rank=[3.9, 2.1, 2.6, 1.4])
    ax = critical_difference(ranks, 1.0, num_datasets=10, p_value=0.01)
    first, last = scale(ax)
    drawn = [xs[0] for xs in of_kind(ax, "rank")]
    np.testing.assert_allclose(drawn, first + (last - first) * (np.array([1.4, 2.1, 2.6, 3.9]) - 1) / 3)
    texts = [text.get_text() for text in ax.texts]
    for name in "abcd":
        assert name in texts
    for rank in ("1.40", "2.10", "2.60", "3.90"):
        assert rank in texts
    (ruler,) = of_kind(ax, "cd")
    assert ruler[1] - ruler[0] == pytest.approx((last - first) / 3)
    assert "critical difference 1.00, 10 datasets, Friedman test p = 0.01" in texts


def test_bars_join_the_longest_stretches_below_the_critical_difference() -> None:
    ranks = np.array([1.4, 2.1, 2.6, 3.9])
    assert cliques(ranks, 1.0) == [(0, 1), (1, 2)]
    assert cliques(ranks, 0.4) == []
    assert cliques(ranks, 3.0) == [(0, 3)]
    ax = critical_difference(RANKS.assign(rank=[3.9, 2.1, 2.6, 1.4]), 1.0, num_datasets=10, p_value=0.01)
    assert len(of_kind(ax, "clique")) == 2


def test_bars_say_what_the_ranking_says() -> None:
    """Of random ranks, near Friedman's level too: two policies are joined by a bar exactly if they do not differ."""
    generator, rejected = derive(0, "test", "cliques"), 0
    for _ in range(200):
        shift = generator.choice([0.0, 1.2, 3.0]) * np.arange(4)
        ranking = rank_pipelines(generator.normal(size=(5, 4)) + shift, list("abcd"))
        assert ranking.p_value is not None
        rejected += ranking.p_value <= ranking.level
        ax = critical_difference(ranking.table(), ranking.critical_difference, num_datasets=5, p_value=ranking.p_value)
        first, last = scale(ax)
        places = first + (last - first) * (ranking.ranks - 1) / 3
        bars = of_kind(ax, "clique")
        for one, other in combinations(range(4), 2):
            joined = any(xs.min() <= places[one] and places[other] <= xs.max() for xs in bars)
            assert joined != ranking.differ(ranking.names[one], ranking.names[other])
        plt.close(ax.figure)
    assert 0 < rejected < 200


def test_policies_that_differ_by_exactly_the_critical_difference_are_joined() -> None:
    assert cliques(np.array([1.0, 2.0]), 1.0) == [(0, 1)]


def test_wrong_requests_are_answered() -> None:
    ranks = RANKS.assign(rank=[3.9, 2.1, 2.6, 1.4])
    with pytest.raises(RequestError, match="num_datasets=4 must be at least 5"):
        critical_difference(ranks, 1.0, num_datasets=4, p_value=0.01)
    with pytest.raises(RequestError, match="ranks has no rows"):
        critical_difference(ranks.iloc[:0], 1.0, num_datasets=9, p_value=0.01)
    with pytest.raises(RequestError, match="ranks must have three policies or more, each once"):
        critical_difference(ranks.assign(policy="a"), 1.0, num_datasets=9, p_value=0.01)
    with pytest.raises(RequestError, match="cd=nan must be"):
        critical_difference(ranks, float("nan"), num_datasets=9, p_value=0.01)
    with pytest.raises(RequestError, match=r"average ranks of 3 policies sum to 6, but these to 8\.6"):
        critical_difference(ranks.iloc[:3], 1.0, num_datasets=9, p_value=0.01)
