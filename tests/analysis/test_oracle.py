"""The oracle against exhaustive search, and its schedules against runs that trigger as they say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from selecting import arrivals, context, record
from small import run_small, small_store

from modyn_bench.analysis.oracle.dense import Oracle, find_oracle
from modyn_bench.analysis.oracle.exactness import COMPOSED, STATEFUL, STATELESS, reasons_against
from modyn_bench.analysis.oracle.kept import halves
from modyn_bench.analysis.oracle.regret import regret
from modyn_bench.analysis.oracle.schedules import Segments, best_schedules, cumulate
from modyn_bench.errors import RequestError, RunError
from modyn_bench.evaluation.composite import VARIANTS, assign
from modyn_bench.runs.directory import RunDirectory
from modyn_bench.seeding import derive
from modyn_bench.selectors.base import Selector
from modyn_bench.selectors.downsampling.base import Downsampler
from modyn_bench.selectors.new_data import NewData
from modyn_bench.selectors.presampling.uniform import Uniform
from modyn_bench.triggers.amount import Amount
from modyn_bench.triggers.base import Trigger
from modyn_bench.triggers.never import Never
from modyn_bench.triggers.time import Time
from modyn_bench.types import Arrivals, Decision, DecisionPoint

CONF = Path(__file__).resolve().parents[2] / "conf" / "selector"
SECONDS = 72
STORE = small_store(np.repeat(np.arange(SECONDS), 5), np.repeat(np.arange(SECONDS), 6))
NEW_DATA = {"_target_": "modyn_bench.selectors.new_data.NewData", "history": "all"}


class At(Trigger):
    """Fires after so many samples of the stream."""

    name = "at"
    state_fields = ("num_seen",)

    def __init__(self, places: list[int]) -> None:
        self.places = places
        self.num_seen = 0

    def next_decision(self, arrivals: Arrivals) -> DecisionPoint | None:
        missing = [place - self.num_seen for place in self.places if 0 < place - self.num_seen <= len(arrivals)]
        return DecisionPoint(missing[0]) if missing else None

    def consume(self, part: Arrivals) -> None:
        self.num_seen += len(part)

    def decide(self, view: object) -> Decision:
        return Decision(fired=True)


def run(
    root: Path,
    trigger: Trigger,
    *,
    selector: Selector | None = None,
    start_from: str = "scratch",
    config: dict[str, Any] | None = None,
    replay: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """A run whose windows are seconds, so that every sample is served at its own time."""
    return run_small(
        root,
        STORE,
        trigger,
        selector or NewData(history="all"),
        training={"epochs": 1, "start_from": start_from, **(training or {})},
        evaluation={"windows": {"seconds": {"every": "1s"}}},
        config={"selector": NEW_DATA, "trigger": {"_target_": trigger.name}, **(config or {})},
        replay={"flush": True, **(replay or {})},
        **options,
    )


def positions_of(dense: Path, indices: tuple[int, ...]) -> list[int]:
    """After how many samples these triggers of a run fell."""
    arrived = pd.read_parquet(dense / "triggers.parquet")["num_arrived"].cumsum()
    return arrived.loc[list(indices)].tolist()


def composite_of(run: Path, metric: str, variant: str) -> float:
    table = pd.read_parquet(run / "composite.parquet").set_index(["variant", "metric", "aggregate"])
    return table.loc[(variant, metric, "sample_weighted"), "value"]


def overall(oracle: Oracle, num_triggers: int) -> float:
    """The value over both halves."""
    row = oracle.at(num_triggers)
    return float(np.average([row["value_choosing"], row["value_scoring"]], weights=oracle.num_served))


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("dense"), Time("10s"))


@pytest.fixture(scope="module")
def oracle(dense: Path) -> Oracle:
    return find_oracle(dense)


@pytest.fixture(scope="module")
def fifties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("fifties"), Amount(50))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Costs of candidates' models, shape (K, n), times of samples and of getting into service; ties are common."""
    num_candidates, num_samples = draw(st.integers(1, 6)), draw(st.integers(0, 12))
    times = np.sort(draw(st.lists(st.integers(0, 9), min_size=num_samples, max_size=num_samples)))
    available = np.sort(draw(st.lists(st.integers(-1, 10), min_size=num_candidates, max_size=num_candidates)))
    costs = derive(draw(st.integers(0, 99)), "costs").integers(0, 3, (num_candidates, num_samples)).astype(float)
    return costs, times.astype(np.int64), available.astype(np.int64)


def cost_by_definition(schedule, variant: str, costs, times, available) -> float:
    serving = assign(available[list(schedule)].tolist(), times).of(variant)
    return sum(costs[schedule[model], sample] for sample, model in enumerate(serving) if model >= 0)


class TestSchedules:
    @given(worlds(), st.sampled_from(VARIANTS))
    def test_none_of_all_schedules_is_better(self, world, variant: str) -> None:
        costs, times, available = world
        segments = Segments.of(np.stack([cumulate(row, times, available) for row in costs]), variant)
        others = range(1, len(costs))
        every = [(0, *rest) for size in range(len(costs)) for rest in combinations(others, size)]
        by_definition = {schedule: cost_by_definition(schedule, variant, *world) for schedule in every}
        for schedule, cost in by_definition.items():
            assert segments.cost(schedule) == cost
        found = best_schedules(segments)
        assert len(found) == len(costs)
        for k, schedule in enumerate(found, start=1):
            lowest = min(cost for other, cost in by_definition.items() if len(other) <= k)
            assert by_definition[schedule] == lowest
            assert len(schedule) == min(len(other) for other, cost in by_definition.items() if cost == lowest)

    @given(worlds(), st.integers(1, 7))
    def test_a_curve_that_is_cut_off_begins_as_the_whole_one(self, world, max_triggers: int) -> None:
        costs, times, available = world
        segments = Segments.of(np.stack([cumulate(row, times, available) for row in costs]), "currently_active")
        assert best_schedules(segments, max_triggers=max_triggers) == best_schedules(segments)[:max_triggers]


class TestExactness:
    def test_every_selector_is_known_to_be_stateless_or_not(self) -> None:
        targets = {OmegaConf.load(file)["_target_"] for file in CONF.glob("*.yaml")}
        assert targets == {*STATELESS, *STATEFUL, COMPOSED}
        assert not STATELESS.keys() & STATEFUL.keys()

    @pytest.mark.parametrize("target", STATELESS)
    @pytest.mark.parametrize("limit_by", ["newest", "uniform"])
    def test_a_stateless_one_chooses_the_same_whatever_was_triggered_before(self, target: str, limit_by: str) -> None:
        files = {OmegaConf.load(file)["_target_"]: file for file in CONF.glob("*.yaml")}
        config = {key: value for key, value in OmegaConf.load(files[target]).items() if key != "defaults"}
        config |= {"limit": 5} if "limit" in config else {"size": 5}
        config |= {"limit_by": limit_by} if "limit_by" in config else {}
        config |= {"column": "size"} if "column" in config else {}
        config |= {"warmup_triggers": 1} if "warmup_triggers" in config else {}
        config |= STATELESS[target]
        assert reasons_against({"selector": config, "training": {"start_from": "scratch"}}) == ()
        chosen = []
        for places in ([4, 30], [4, 9, 11, 30], [4, 20, 30]):
            selector, arrived = instantiate(config), 0
            for place in places:
                selector.consume(arrivals(arrived, place))
                arrived, selection = place, selector.select(context(place))
                selector.on_trigger(record(place, trained=True), selection)
            chosen.append((selection.keys.tolist(), selection.weights.tolist(), selection.columns))
        assert chosen[0] == chosen[1] == chosen[2]
        assert len(chosen[0][0]) == 5
        assert not isinstance(selector, Downsampler) or selector.record_size == 0

    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            ({"training": {}}, "training.start_from=previous"),
            ({"replay": {"activation_delay": "measured"}}, "replay.activation_delay=measured"),
            ({"selector": NEW_DATA | {"history": 2}}, "selector.history=2"),
            ({"selector": NEW_DATA | {"warmup_triggers": 2}}, "selector.warmup_triggers=2"),
            ({"selector": {"_target_": "my_policy.Mine"}}, "selector my_policy.Mine: it is not known"),
            ({"selector": {"_target_": next(iter(STATEFUL))}}, "selector Freshness: it knows"),
            (
                {"selector": {"_target_": next(t for t in STATELESS if "reservoir" in t), "with_new": True}},
                "selector.with_new=True: what is new",
            ),
            (
                {"selector": {"_target_": COMPOSED, "presampling": NEW_DATA, "downsampling": {"_target_": "a.B"}}},
                "selector.downsampling a.B",
            ),
        ],
    )
    def test_a_reference_says_why(self, config: dict[str, Any], reason: str) -> None:
        whole = {"selector": NEW_DATA, "training": {"start_from": "scratch"}, **config}
        (said,) = reasons_against(whole)
        assert said.startswith(reason)

    def test_a_composed_one_is_as_stateless_as_its_parts(self) -> None:
        loss = {"_target_": next(target for target in STATELESS if target.endswith(".Loss")), "history": 0}
        composed = {"_target_": COMPOSED, "presampling": NEW_DATA, "downsampling": loss, "warmup_triggers": 1}
        assert reasons_against({"selector": composed, "training": {"start_from": "pretrained"}}) == ()


class TestDenseRun:
    @pytest.mark.parametrize("variant", VARIANTS)
    @pytest.mark.parametrize("metric", ["accuracy", "loss"])
    def test_a_run_that_triggers_so_is_as_good(self, dense: Path, tmp_path: Path, variant: str, metric: str) -> None:
        oracle = find_oracle(dense, metric=metric, variant=variant)
        assert (oracle.kind, oracle.reasons) == ("bound", ())
        best = oracle.at(4)
        positions = positions_of(dense, best["trigger_indices"])
        made = run(tmp_path, At(positions), replay={"flush": False})
        for index, own in enumerate(best["trigger_indices"]):
            name = "triggers/{:05d}/predictions.npz"
            assert (made / name.format(index)).read_bytes() == (dense / name.format(own)).read_bytes()
        assert composite_of(made, metric, variant) == pytest.approx(overall(oracle, 4), abs=1e-12)
        row = regret(oracle, made).iloc[0]
        assert (row["num_triggers"], row["num_differing"], row["kind"]) == (best["num_trained"], 0, "bound")
        assert row["regret_choosing"] == pytest.approx(0, abs=1e-12)
        assert row["regret_scoring"] == pytest.approx(0, abs=1e-12)

    def test_random_draws_are_the_same_as_well(self, tmp_path: Path) -> None:
        config = {"selector": {"_target_": "modyn_bench.selectors.presampling.uniform.Uniform", "history": "all"}}
        uniform = Uniform(ratio=0.5, history="all")
        dense = run(tmp_path, Time("10s"), selector=uniform, config=config)
        oracle = find_oracle(dense)
        positions = positions_of(dense, (0, 2, 5))
        made = run(tmp_path, At(positions), selector=Uniform(ratio=0.5, history="all"), config=config)
        row = regret(oracle, made).iloc[0]
        assert (oracle.kind, row["num_triggers"], row["num_differing"]) == ("bound", 3, 0)
        assert row["regret_choosing"] >= 0

    def test_where_models_build_on_each_other_it_is_a_reference(self, tmp_path: Path) -> None:
        dense = run(tmp_path, Time("10s"), start_from="previous")
        oracle = find_oracle(dense)
        assert oracle.kind == "reference"
        assert oracle.reasons == ("training.start_from=previous: a model depends on those before it",)
        made = run(tmp_path, At(positions_of(dense, (0, 3, 6))), start_from="previous")
        row = regret(oracle, made).iloc[0]
        assert (row["kind"], row["num_differing"]) == ("reference", row["num_triggers"] - 1)

    def test_a_later_start_leaves_out_what_came_before(self, dense: Path, oracle: Oracle) -> None:
        later = find_oracle(dense, first_trigger=2)
        assert later.candidates["trigger_index"].tolist() == list(range(2, len(oracle.candidates)))
        assert all(indices[0] == 2 for indices in later.curve["trigger_indices"])
        assert later.num_served.sum() < oracle.num_served.sum()
        assert later.reasons == (
            "training.fit_on=first_trigger: preprocessing was fitted on the data of an earlier trigger",
        )

    def test_preprocessing_that_all_share_makes_a_later_start_exact(self, tmp_path: Path) -> None:
        training = {"fit_on": "all"}
        dense = run(tmp_path, Time("10s"), training=training)
        oracle = find_oracle(dense, first_trigger=2)
        row = regret(oracle, run(tmp_path, At(positions_of(dense, (2, 3, 5))), training=training)).iloc[0]
        assert (row["kind"], row["num_differing"], row["num_triggers"]) == ("bound", 0, 3)
        assert row["regret_choosing"] >= 0

    @pytest.mark.parametrize("price", [0.0, 0.5, 2.0, 7.0, 1000.0])
    def test_a_price_chooses_as_exhaustive_search_does(self, dense: Path, oracle: Oracle, price: float) -> None:
        with RunDirectory.reopen(dense) as opened:
            times, labels = opened.test_split()
            wrong = np.stack([opened.predictions(model).predicted != labels for model in range(len(oracle.candidates))])
        available = oracle.candidates["available_at"].to_numpy()
        served = times > available[0]
        choosing = halves(len(times), 0)[0] & served
        assert oracle.num_served.tolist() == [choosing.sum(), (served & ~choosing).sum()]
        totals = {}
        for size in range(len(available)):
            for rest in combinations(range(1, len(available)), size):
                schedule = (0, *rest)
                serving = assign(available[list(schedule)].tolist(), times[choosing]).currently_active
                errors = wrong[:, choosing][np.array(schedule)[serving], np.arange(len(serving))].mean()
                totals[schedule] = errors * served.sum() + price * len(schedule)
        best = oracle.at_price(price)
        assert totals[best["trigger_indices"]] == pytest.approx(min(totals.values()))

    def test_more_triggers_are_never_worse_on_the_choosing_half(self, oracle: Oracle) -> None:
        assert oracle.curve["value_choosing"].is_monotonic_increasing
        assert oracle.curve.index.tolist() == list(range(1, len(oracle.candidates) + 1))
        assert (oracle.curve["num_trained"] <= oracle.curve.index).all()
        assert (oracle.curve["trigger_indices"].map(len) == oracle.curve["num_trained"]).all()
        assert oracle.at(1)["trigger_indices"] == (0,)
        assert oracle.at(99).equals(oracle.curve.iloc[-1])

    def test_a_loss_is_lower_with_more_triggers(self, dense: Path) -> None:
        assert find_oracle(dense, metric="loss").curve["value_choosing"].is_monotonic_decreasing

    def test_one_class_of_the_first_k_is_enough_for_top_k(self, dense: Path) -> None:
        assert find_oracle(dense, metric="top_3_accuracy").curve["value_scoring"].eq(1.0).all()

    def test_another_seed_halves_otherwise(self, dense: Path, oracle: Oracle) -> None:
        other = find_oracle(dense, seed=1)
        assert other.num_served.sum() == oracle.num_served.sum()
        assert not other.curve["value_choosing"].equals(oracle.curve["value_choosing"])

    def test_the_dense_run_has_the_regret_of_training_too_often(self, dense: Path, oracle: Oracle) -> None:
        row = regret(oracle, dense).iloc[0]
        assert row["num_triggers"] == len(oracle.candidates) - 1  # the last begins when all is over
        assert row["regret_choosing"] >= 0

    @pytest.mark.parametrize("flush", [True, False])
    def test_what_the_end_of_the_stream_forces_costs_nothing(self, dense: Path, tmp_path: Path, flush: bool) -> None:
        """It answers no test sample while it is active; as the trained one of all after the last trigger it does."""
        best = find_oracle(dense).at(3)
        made = run(tmp_path, At(positions_of(dense, best["trigger_indices"])), replay={"flush": flush})
        row = regret(find_oracle(dense), made).iloc[0]
        assert row["num_triggers"] == best["num_trained"]
        assert row["regret_choosing"] == pytest.approx(0, abs=1e-12)
        trained = regret(find_oracle(dense, variant="currently_trained"), made).iloc[0]
        assert trained["num_triggers"] == best["num_trained"] + flush


class TestWrongRequests:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"metric": "f1_macro"}, "metric='f1_macro' is no sum over samples"),
            ({"metric": "acuracy"}, "metric: there is no metric 'acuracy'; did you mean 'accuracy'"),
            ({"variant": "newest"}, "variant='newest' must be one of"),
            ({"max_triggers": 0}, "max_triggers=0 must be at least 1"),
        ],
    )
    def test_what_cannot_be_had(self, dense: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(RequestError, match=message):
            find_oracle(dense, **options)

    def test_a_run_without_models(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match="trained no model"):
            find_oracle(run(tmp_path, Never(), replay={"flush": False}))

    def test_a_run_whose_only_model_comes_last_serves_nobody(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match="serves 0 test samples"):
            find_oracle(run(tmp_path, Never()))

    def test_a_run_that_is_not_finished(self, dense: Path, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_bytes((dense / "manifest.json").read_bytes())
        with pytest.raises(RunError, match="is not finished"):
            find_oracle(tmp_path)

    def test_models_that_overtake(self, tmp_path: Path) -> None:
        late = run(tmp_path, At([50, 60]), selector=NewData(), replay={"activation_delay": {"per_sample": 1}})
        with pytest.raises(RequestError, match="model 1 gets into service before the older model 0"):
            find_oracle(late)

    def test_numbers_beyond_the_curve(self, dense: Path, oracle: Oracle) -> None:
        with pytest.raises(RequestError, match=r"num_triggers=0 is not on the curve, which reaches from 1 to 8"):
            oracle.at(0)
        with pytest.raises(RequestError, match=r"num_triggers=3 .* from 1 to 2: raise max_triggers"):
            find_oracle(dense, max_triggers=2).at(3)
        with pytest.raises(RequestError, match="price=-1 must be a number of errors"):
            oracle.at_price(-1)

    def test_a_trigger_that_is_no_candidate(self, oracle: Oracle, tmp_path: Path) -> None:
        made = run(tmp_path, At([50, 123, 124]))
        with pytest.raises(RequestError, match=r"trigger 1 of .*, at 1970-01-01 00:00:24 with 123 .* is no candidate"):
            regret(oracle, made)

    def test_a_run_that_starts_later(self, oracle: Oracle, tmp_path: Path) -> None:
        made = run(tmp_path, Amount(100))
        with pytest.raises(RequestError, match=r"trigger 0 of .* is its first, but trigger 1 of the dense run"):
            regret(oracle, made)
        row = regret(find_oracle(oracle.path, first_trigger=1), made).iloc[0]
        assert (row["kind"], row["num_triggers"]) == ("reference", 3)  # its preprocessing is of more data
        assert row["num_differing"] == 3

    def test_a_first_trigger_that_is_none(self, dense: Path) -> None:
        with pytest.raises(RequestError, match=r"first_trigger=8 trained no model .* are among 0..7"):
            find_oracle(dense, first_trigger=8)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"start_from": "previous"}, "training.start_from=previous in .*, but scratch in the dense run"),
            ({"seed": 1}, "seed=1 in .*, but 0 in the dense run .*: only their triggers may differ"),
            ({"config": {"selector": NEW_DATA | {"limit": 9}}}, "selector.limit=9 in .*, but None"),
        ],
    )
    def test_runs_that_differ_in_more(
        self, oracle: Oracle, tmp_path: Path, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(RequestError, match=message):
            regret(oracle, run(tmp_path, Amount(50), **options))

    def test_code_that_was_edited_in_between(self, oracle: Oracle, fifties: Path, tmp_path: Path) -> None:
        made = shutil.copytree(fifties, tmp_path / "edited")
        manifest = json.loads((made / "manifest.json").read_text())
        (made / "manifest.json").write_text(json.dumps({**manifest, "code": {"my_model": "new", "my_trigger": "own"}}))
        edited = replace(oracle, manifest={**oracle.manifest, "code": {"my_model": "old"}})
        with pytest.raises(RequestError, match="my_model was edited between"):
            regret(edited, made)

    def test_other_data(self, oracle: Oracle, fifties: Path) -> None:
        with pytest.raises(RequestError, match="are of different data"):
            regret(replace(oracle, manifest={**oracle.manifest, "fingerprint": "other"}), fifties)
