"""What the preflight finds, and how it says so: in process, without running anything."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modyn_bench.commands.composing import Composer, use_config_dir
from modyn_bench.commands.messages import quoted
from modyn_bench.errors import RequestError
from modyn_bench.preflight import check_evaluation, check_jobs


@pytest.fixture(autouse=True)
def no_config_dir():
    use_config_dir(None)
    yield
    use_config_dir(None)


def refusal(*overrides: str, multirun: bool = False) -> str:
    with pytest.raises(RequestError) as caught:
        check_jobs(list(overrides), multirun=multirun)
    return str(caught.value)


def test_a_models_embedding_layer_is_no_argument_of_its_constructor():
    (job,) = check_jobs(["model=convnet", "+model.embedding_layer=head"])
    assert job.config["model"]["embedding_layer"] == "head"
    assert "model.initial_weights: unknown key" in refusal("model=convnet", "+model.initial_weights=a")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "trigger=tiem",
            ["'time'", "amount, drift, ensemble, latency_cost, misclassification_cost, never, once, performance, time"],
        ),
        ("triger=time", ["triger=time", "'trigger'"]),
        ("trigger=null", ["trigger=null", "time"]),
        ("~trigger", ["trigger is missing"]),
        ("sede=1", ["'seed'"]),
        ("+bogus=1", ["bogus", "seed"]),
        ("+sede=1", ["'seed'"]),
        ("seed=one", ["seed='one' must be a whole number"]),
        ("seed=null", ["seed=null must be a whole number"]),
        ("root=2024", ["root=2024 must be text", "'\"2024\"'"]),
        ("training.epochs=three", ["training.epochs='three' must be a whole number"]),
        ("training.epochs=1.5", ["training.epochs=1.5 must be a whole number"]),
        ("training.epochs=true", ["training.epochs=true must be a whole number"]),
        ("training.epochs=0", ["training.epochs=0 must be at least 1"]),
        ("training.epoch=3", ["'epochs'"]),
        ("+training.epohcs=3", ["'epochs'"]),
        ("training.shuffle=maybe", ["training.shuffle='maybe' must be true or false"]),
        ("training.clip_norm=big", ["must be a number or null"]),
        ("training.start_from=previus", ["previous, scratch, pretrained"]),
        ("training.optimizer._target_=torch.optim.Adagradd", ["'Adagrad'"]),
        ("training.fresh_layers=fc", ["training.fresh_layers='fc' must be a list"]),
        ("training.fresh_layers=[fc]", ["training.fresh_layers=['fc'] needs training.initial_weights"]),
        ("+training.augmentation={_target_: modyn_bench.training.augmentation.HorizontalFlp}", ["'HorizontalFlip'"]),
        ("+training.optimizer.lrr=1", ["training.optimizer.lrr", "'lr'"]),
        ("training.optimizer.lr.x=1", ["training.optimizer.lr"]),
        ("+training.epochs=3", ["drop the +"]),
        ("~training.epoch", ["'epochs'"]),
        (
            "~evaluation.windows.sliced.calendar",
            ["no key 'evaluation.windows.sliced.calendar' to", "(keys of", "every, kind"],
        ),
        ("evaluation.windows=3", ["evaluation.windows=3 must be a mapping"]),
        ("training.initial_weights=gone.safetensors", ["training.initial_weights=gone.safetensors", "no such file"]),
        ("trigger.evry=1y", ["'every'"]),
        ("trigger.every=soon", ["trigger.every='soon'", "26w"]),
        ("trigger.clock=noon", ["grid_line, last_sample"]),
        ("trigger._target_=modyn_bench.triggers.time.Tiem", ["'Time'"]),
        ("trigger._target_=modyn_bench.triggerz.Time", ["modyn_bench", "'triggerz'"]),
        ("trigger._target_=nowhere.Time", ["no module 'nowhere'", "working directory"]),
        ("selector.history=-1", ["selector.history=-1"]),
        ("selector.limit=many", ["selector.limit='many' must be a whole number or null"]),
        ("selector=unifrom", ["'uniform'"]),
        ("model._target_=modyn_bench.models.tabular.TabularMLP", ["'TabularMLP'"]),
        ("model._target_=modyn_bench.models.tabular_mlp", ["is a module"]),
        ("model=tabular_mpl", ["'tabular_mlp'"]),
        ("evaluation.metrics=[acuracy]", ["accuracy"]),
        ("evaluation.metrics=accuracy", ["evaluation.metrics='accuracy' must be a list"]),
        ("evaluation.windows.slided.every=1y", ["'sliced'"]),
        ("+evaluation.windows.two={kind: sliding, radus: 1y}", ["evaluation.windows.two.radus", "'radius'"]),
        ("+evaluation.windows.two={kind: sliding}", ["evaluation.windows.two.radius is missing"]),
        ("+evaluation.windows.two.kind=slicd", ["evaluation.windows.two.kind='slicd'", "sliced"]),
        ("replay.stop=yesterday", ["replay.stop='yesterday'", "ISO date"]),
        ("replay=3", ["replay"]),
        ("logger.mode=on", ["logger.mode"]),
        ("runs.keep_models=some", ["last, all"]),
        ("dataset.test_fraction=2", ["test_fraction"]),
        ("dataset.test_fracton=0.2", ["'test_fraction'"]),
        ("nonsense", ["KEY=VALUE"]),
        ("~seed", ["seed is missing", "as in seed=VALUE"]),
        ("~replay", ["replay is missing", "replay.KEY=VALUE"]),
        ("root=", ["root is empty", "root=outputs"]),
        ("hydra.run.dir=x", ["hydra.run.dir=x: Hydra owns no folder here", "root=DIR"]),
        ("hydra.sweep.subdir=x", ["hydra.sweep.subdir=x: Hydra owns no folder"]),
        ("+hydra.job.chdir=true", ["Hydra owns no folder"]),
        ("evaluation.metrics=[acc]", ["there is no metric 'acc' (metrics: accuracy, "]),
        ("evaluation.windows.sliced.calendar=month", ["as in +evaluation.windows.sliced.calendar=month"]),
        ("evaluation.windows.sliced.calender=month", ["'calendar'"]),
        ("evaluation.windows.slicd.every=1y", ["'sliced'"]),
        ("dataset.test_block=${b}", ["dataset.test_block", "${KEY} refers to another key", "rename"]),
        ("dataset.test_block='\\${b}'", ["${KEY} refers to another key", "rename"]),
        ("trigger/decision=threshold", ["the chosen trigger has no decision to replace", "trigger=NAME"]),
        ("experiment/selection=loss", ["add a +, as in +experiment/selection=NAME"]),
        ("trigger/decison=threshold", ["'trigger/decision'"]),
        ("hydra/launcher=basik", ["'basic'"]),
        ("experiment=arxiv_first_lok", ["'arxiv_first_look/'"]),
        ("experiment=arxiv_first_look", ["folder", "glob(*)", "yearly_fine_tuning"]),
    ],
)
def test_a_wrong_override_is_answered_with_the_key_and_what_was_expected(override: str, expected: list[str]):
    message = refusal(override)
    assert not [part for part in expected if part not in message], message
    assert "Traceback" not in message
    assert "Config search path" not in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dataset.label=7", "dataset.label=7 must be text; write dataset.label='\"7\"' for text"),
        ("dataset.label=null", "dataset.label=null must be text"),
        ("dataset.path=null", "dataset.path=null must be text"),
        ("dataset.drop=[x,8]", "dataset.drop[1]=8 must be text"),
        ("dataset.separator=5", "dataset.separator=5 must be text or null"),
        ("dataset.missing_values=null", "dataset.missing_values=null must be a list"),
        ("dataset.missing_values=NA", "dataset.missing_values='NA' must be a list"),
        ("dataset.label_threshold=some", "dataset.label_threshold='some' must be a number or null"),
        ("dataset.test_fraction=many", "dataset.test_fraction='many' must be a number"),
        ("dataset.split_seed=one", "dataset.split_seed='one' must be a whole number"),
        ("dataset.max_tokens=1.5", "dataset.max_tokens=1.5 must be a whole number"),
    ],
)
def test_a_value_of_another_type_for_a_table(tmp_path: Path, override: str, expected: str):
    (tmp_path / "t.csv").write_text("ts,x,7\n1,2,3\n")
    table = ["dataset=table", f"dataset.path={tmp_path / 't.csv'}", "dataset.timestamp=ts", "dataset.label=x"]
    assert expected in refusal(*table, override)


@pytest.mark.parametrize("key", ["evaluation.windows.sliced.calendar=month", "evaluation.windows.sliced.anchor=center"])
def test_a_key_that_the_option_leaves_out_is_added_as_the_message_says(key: str):
    (words,) = [line.partition("as in ")[2] for line in refusal(key).splitlines()]
    (job,) = check_jobs(shlex.split(words))
    *_, name = key.partition("=")[0].split(".")
    assert job.config["evaluation"]["windows"]["sliced"][name] == key.partition("=")[2]


@pytest.mark.parametrize("place", ["file", "file/inside", "inside/../file"])
def test_a_root_that_is_a_file_is_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "inside").mkdir()
    for multirun in (False, True):
        assert f"root={place}: {place.removesuffix('/inside')} is a file" in refusal(f"root={place}", multirun=multirun)
    assert check_jobs(["root=inside/deeper"])[0].config["root"] == "inside/deeper"


def test_all_problems_are_told_at_once():
    message = refusal(
        "sede=1", "+bogus=1", "training.epochs=x", "trigger=tiem", "selector.ratio=3", "dataset.split_sed=1"
    )
    for part in ("sede=1", "bogus", "training.epochs='x'", "trigger=tiem", "selector.ratio=3", "'split_seed'"):
        assert part in message
    assert len(message.splitlines()) == 6


def test_jobs_with_the_same_problems_are_folded():
    message = refusal("trigger=time,amount", "seed=0,1", "training.epochs=x,1", multirun=True)
    assert message.splitlines() == [
        "in 4 of 8 jobs (first: trigger=time seed=0 training.epochs=x):",
        "training.epochs='x' must be a whole number",
    ]
    assert refusal("trigger=time,amount", "seed=x", multirun=True).splitlines()[0] == "in all 2 jobs:"


def test_a_key_of_one_policy_is_wrong_for_the_others_of_a_sweep():
    message = refusal("trigger=time,amount", "trigger.num_samples=7", multirun=True)
    assert "in 1 of 2 jobs (first: trigger=time trigger.num_samples=7):" in message


@pytest.mark.parametrize(
    ("sweep", "number"),
    [
        (["seed=0,1,2"], 3),
        (["seed=choice(0,1)", "trigger=amount,time"], 4),
        (["seed=range(0,10,3)"], 4),
        (["trigger=glob([a*,t*])"], 2),
        (["trigger=glob(*,exclude=e*)"], 8),
        (["+experiment/arxiv_first_look=glob(*)", "seed=0,1,2"], 12),
        (["seed=5"], 1),
        ([], 1),
    ],
)
def test_sweeps_expand_as_in_hydra(sweep: list[str], number: int):
    jobs = check_jobs(sweep, multirun=True)
    assert len({json.dumps(job.config, sort_keys=True) for job in jobs}) == number == len(jobs)


@pytest.mark.parametrize("sweep", ["trigger=glob(zzz*)", "+experiment/none=glob(*)", "seed=range(3,3)"])
def test_an_empty_sweep_is_refused(sweep: str):
    assert "empty sweep" in refusal(sweep, multirun=True)


def test_the_keys_that_are_listed_are_those_of_the_policy():
    listed = refusal("selector=rho_loss", "selector.secnd=1").partition("keys of selector: ")[2]
    assert {"holdout", "irreducible_model"} <= set(listed.rstrip(")").split(", "))
    assert "_recursive_" not in listed


def test_a_sweep_needs_multirun():
    message = refusal("trigger=time,amount")
    assert "--multirun" in message
    assert """'trigger="time,amount"'""" in message


def test_what_is_dropped_in_a_sweep_is_named_for_hydras_sweeper_looks_for_an_empty_value():
    dropped = "~trigger@trigger.members.time"
    wrong = refusal("trigger=ensemble", dropped, "seed=0,1", multirun=True)
    assert wrong == f"{dropped} needs the value that is dropped in a sweep: {dropped}=VALUE"
    for job in check_jobs(["trigger=ensemble", f"{dropped}=time", "seed=0,1"], multirun=True):
        assert list(job.config["trigger"]["members"]) == ["amount"]
    (alone,) = check_jobs(["trigger=ensemble", dropped])
    assert list(alone.config["trigger"]["members"]) == ["amount"]


READABLE = ("x=1.csv",)  # Hydra's grammar takes these as they are


@pytest.mark.parametrize("name", ["my (1).csv", "a,b.csv", "x=1.csv", "it's.csv", 'say "hi".csv', "a{b}.csv"])
def test_paths_with_special_characters_are_shown_in_their_quoted_form(name: str, tmp_path: Path):
    """What is suggested, after the shell has read it, names the file."""
    path = tmp_path / name
    path.write_text("t,x,y\n2020-01-01,1,a\n2020-01-02,2,b\n2020-01-03,3,a\n2020-01-04,3,b\n")
    others = ["dataset=table", "dataset.timestamp=t", "dataset.label=y"]
    suggestion = quoted("dataset.path", str(path))
    for multirun in (False, True):
        if name not in READABLE:
            assert suggestion in refusal(*others, f"dataset.path={path}", multirun=multirun)
        (job,) = check_jobs([*others, *shlex.split(suggestion)], multirun=multirun)
        assert job.config["dataset"]["path"] == str(path)


def test_any_text_can_be_quoted():
    with Composer() as composer:

        @given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1))
        def suggestion_is_read_back(text: str):
            assume("${" not in text)  # refers to another key, quoted or not
            parsed, unreadable = composer.parse(shlex.split(quoted("root", text)))
            assert not unreadable
            config = composer.compose(parsed).config
            assert config is not None
            assert config["root"] == text

        suggestion_is_read_back()


def test_missing_mandatory_values_are_named():
    message = refusal("dataset=table")
    assert [line.split(" ")[0] for line in message.splitlines()] == [
        "dataset.label",
        "dataset.path",
        "dataset.timestamp",
    ]


def test_a_path_that_does_not_exist_is_told():
    message = refusal("dataset=table", "dataset.path=nope.csv", "dataset.timestamp=t", "dataset.label=y")
    assert "dataset.path=nope.csv" in message


def test_ensembles_are_checked_to_the_bottom():
    members = ["trigger=ensemble", "+trigger@trigger.members.big=amount"]
    (job,) = check_jobs([*members, "trigger.members.big.num_samples=7"])
    assert job.config["trigger"]["members"]["big"]["num_samples"] == 7
    assert "trigger.members.big.num_samples='x'" in refusal(*members, "trigger.members.big.num_samples=x")
    assert "'num_samples'" in refusal(*members, "+trigger.members.big.num_sample=1")


def test_equal_options_have_equal_configurations():
    one, two = (check_jobs([override])[0].config for override in ("training.clip_norm=1", "training.clip_norm=1.0"))
    assert json.dumps(one) == json.dumps(two)


def test_values_are_applied_as_hydra_applies_them():
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from modyn_bench.commands.composing import VERSION_BASE
    from modyn_bench.commands.options import CONFIG_NAME, conf_directory
    from modyn_bench.preflight import normalise

    overrides = [
        "trigger=ensemble",
        "~trigger.members.time",
        "+trigger@trigger.members.other=once",
        "trigger.members.other.after=2y",
        "selector=uniform",
        "selector.ratio=0.5",
        "evaluation.metrics=[ece,loss]",
        "++evaluation.windows.two={kind: offset, offsets: [-1y, 0]}",
        "+evaluation.windows.two.anchor=start",
        "~logger.tags",
        "replay.activation_delay={per_sample: 2}",
        "training.schedule=null",
    ]
    with initialize_config_dir(config_dir=str(conf_directory()), version_base=VERSION_BASE):
        expected = OmegaConf.to_container(compose(CONFIG_NAME, overrides=overrides), resolve=True)
    assert check_jobs(overrides)[0].config == normalise(expected)  # type: ignore[arg-type]


MINE = """
from modyn_bench.triggers.base import Trigger
from modyn_bench.types import Decision

class Mine(Trigger):
    name = "mine"

    def __init__(self, period: int, *, patience: float = 0.5) -> None:
        self.period = period

    def next_decision(self, arrivals): return None
    def consume(self, part): pass
    def decide(self, view): return Decision(fired=False)

class Unfinished(Trigger):
    name = "unfinished"
"""


@pytest.fixture
def own_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_own_policy.py").write_text(MINE)
    (tmp_path / "my_own_broken.py").write_text("import no_such_library\n")
    (tmp_path / "my_own_model.py").write_text("class Net:\n    def __init__(self, inputs, width=8): ...\n")
    options = tmp_path / "my_conf" / "trigger"
    options.mkdir(parents=True)
    (options / "mine.yaml").write_text("_target_: my_own_policy.Mine\nperiod: 3\npatience: 0.5\n")
    (options / "wrong.yaml").write_text("_target_: my_own_policy.Mine\nperiods: 3\n")
    (options / "unfinished.yaml").write_text("_target_: my_own_policy.Unfinished\n")
    (options / "broken.yaml").write_text("_target_: my_own_broken.Mine\n")
    (options / "invalid.yaml").write_text("_target_: [\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    use_config_dir("my_conf")
    return tmp_path


def test_a_policy_of_ones_own_is_an_option_like_ours(own_policy: Path):
    (job,) = check_jobs(["trigger=mine", "trigger.period=5"])
    assert job.config["trigger"] == {"_target_": "my_own_policy.Mine", "period": 5, "patience": 0.5}
    assert len(check_jobs(["trigger=glob(mine*)"], multirun=True)) == 1
    assert "'mine'" in refusal("trigger=mien")


@pytest.mark.parametrize("name", ["nan", "12", "null", "1.5", "true"])
def test_a_name_that_is_read_as_a_value_is_quoted(name: str, own_policy: Path):
    (own_policy / "my_conf" / "trigger" / f"{name}.yaml").write_text("_target_: my_own_policy.Mine\nperiod: 3\n")
    message = refusal(f"trigger={name}")
    assert "no such option" not in message
    (job,) = check_jobs(shlex.split(message.partition("write ")[2]))
    assert job.config["trigger"]["period"] == 3


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trigger=wrong", ["trigger.periods", "'period'", "patience, period", "trigger.period is missing"]),
        ("trigger=unfinished", ["Unfinished", "abstract"]),
        ("trigger=broken", ["my_own_broken", "no_such_library"]),
        ("trigger=invalid", ["invalid.yaml"]),
        ("model._target_=my_own_model.Net +model.width=4 +model.widht=5", ["model.widht", "'width'"]),
        ("model._target_=my_own_model.Nett", ["'Net'"]),
    ],
)
def test_what_is_wrong_with_a_policy_of_ones_own_is_told(override: str, expected: list[str], own_policy: Path):
    message = refusal(*override.split())
    assert not [part for part in expected if part not in message], message


def test_a_config_dir_must_be_a_folder():
    with pytest.raises(RequestError, match="--config-dir=nowhere is no folder"):
        use_config_dir("nowhere")


@pytest.fixture
def evaluation() -> dict[str, object]:
    return check_jobs([])[0].config["evaluation"]  # type: ignore[no-any-return]


def test_an_evaluation_is_changed_by_overrides(evaluation: dict[str, object]):
    changed = check_evaluation(
        evaluation, ["evaluation.metrics=[accuracy,ece]", "+evaluation.windows.more={kind: sliced, every: 2w}"]
    )
    assert changed["metrics"] == ["accuracy", "ece"]
    assert set(changed["windows"]) == {"sliced", "more"}
    assert check_evaluation(changed, ["evaluation=default"]) == evaluation
    assert check_evaluation(evaluation, []) == evaluation


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("evaluation.metrics=[acuracy]", "accuracy"),
        ("evaluation.metric=[accuracy]", "'metrics'"),
        ("evaluation=defautl", "'default'"),
        ("training.epochs=1", "finished run"),
        ("evaluation.ece_bins=5,6", "nothing is swept"),
        ("~evaluation.windows.sliced", "evaluation.windows is empty"),
        ("evaluation.f1_classes=${x}", "evaluation.f1_classes: Interpolation key 'x' not found; ${KEY} refers to"),
        ("evaluation.split=train", "evaluation.split=train cannot be changed: it was fixed when the predictions were"),
        ("evaluation.batch_size=7", "(evaluation.batch_size=4096); another value needs a new run"),
        ("++evaluation.max_probabilities_bytes=7", "evaluation.max_probabilities_bytes=7 cannot be changed"),
    ],
)
def test_a_wrong_evaluation_is_refused(override: str, expected: str, evaluation: dict[str, object]):
    with pytest.raises(RequestError) as caught:
        check_evaluation(evaluation, [override])
    assert expected in str(caught.value)


def test_what_the_predictions_fixed_stays_the_runs_own(evaluation: dict[str, object]):
    own = {**evaluation, "batch_size": 64, "split": "other"}
    same = ["evaluation.batch_size=64", "evaluation.split=other", "evaluation.ece_bins=5"]
    assert check_evaluation(own, same) == {**own, "ece_bins": 5}
    assert check_evaluation(own, ["evaluation=default"]) == own


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("trigger=drift trigger.decision=cusum", ["trigger.decision='cusum' is no DecisionRule", "trigger/decision="]),
        ("trigger=drift trigger.distance=mmd", ["trigger.distance='mmd' is no Distance", "trigger/distance=mmd"]),
        ("trigger=drift trigger.windows=5", ["trigger.windows"]),
        ("trigger=performance trigger.warmup_trigger=time", ["trigger.warmup_trigger='time'", "+trigger@trigger."]),
        ("trigger=latency_cost trigger.decision=cusum", ["trigger.decision='cusum' is no DecisionRule"]),
        ("trigger=latency_cost +trigger/decision=cusum", ["without a +, as in trigger/decision=NAME"]),
        ("trigger=ensemble trigger.members.time=amount", ["trigger.members.time='amount' is no Trigger"]),
    ],
)
def test_a_part_that_is_named_where_it_is_to_be_chosen_is_told(overrides: str, expected: list[str]):
    message = refusal(*overrides.split())
    assert not [part for part in expected if part not in message], message


@pytest.mark.parametrize("policy", ["performance", "latency_cost", "misclassification_cost"])
def test_a_rule_is_chosen_alike_for_every_policy(policy: str):
    (default,) = check_jobs([f"trigger={policy}"])
    (chosen,) = check_jobs([f"trigger={policy}", "trigger/decision=cusum", "trigger.decision.limit=2"])
    assert default.config["trigger"]["decision"] is None
    assert chosen.config["trigger"]["decision"]["limit"] == 2
    assert refusal(f"trigger={policy}", "trigger.decision.quantile=0.1") == (
        "trigger.decision.quantile=0.1: trigger.decision is null: choose one first, as in trigger/decision=NAME"
    )


def test_a_rule_is_chosen_for_a_member():
    member = ["trigger=ensemble", "+trigger@trigger.members.p=performance"]
    key = "trigger.members.p.decision"
    (job,) = check_jobs([*member, f"trigger/decision@{key}=threshold", f"{key}.threshold=0.4"])
    assert job.config["trigger"]["members"]["p"]["decision"]["threshold"] == 0.4
    assert refusal(*member, f"{key}.threshold=0.4").endswith(f"choose one first, as in trigger/decision@{key}=NAME")


def test_a_rule_of_an_experiment_is_taken_away_for_a_threshold():
    point = ["+experiment/arxiv_triggering=top_2_quantile", "trigger.threshold=0.4"]
    assert "trigger.threshold and trigger.decision exclude each other" in refusal(*point)
    (job,) = check_jobs([*point, "~trigger/decision"])
    assert job.config["trigger"]["decision"] is None


ENSEMBLE = "trigger=ensemble +trigger@trigger.members.d=drift"
INNER = "trigger=ensemble +trigger@trigger.members.e=ensemble"
PERFORMANCE = "+trigger@trigger.members.e.members.p=performance"
FURTHER = (
    "trigger=drift +trigger/distance@trigger.detectors.x.distance=mmd +trigger/decision@trigger.detectors.x.decision"
)
WARMUP = "trigger=drift +trigger@trigger.warmup_trigger"
TURNS = "selector=schedule selector@selector.policies.second"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (f"{ENSEMBLE} trigger.members.d.decision.quantile=2", "trigger.members.d.decision.quantile=2 must lie in"),
        (f"{ENSEMBLE} trigger.members.d.windows.reference=x", "trigger.members.d.windows.reference='x' must be one of"),
        (f"{ENSEMBLE} trigger.members.d.interval=0", "trigger.members.d.interval=0 must be at least 1"),
        (f"{TURNS}=uniform selector.policies.second.ratio=2", "selector.policies.second.ratio=2 must be a fraction"),
        ("selector=coreset selector.downsampling.draw=x", "selector.downsampling.draw='x' must be one of"),
        (
            f"{TURNS}=coreset selector.policies.second.downsampling.limit=3",
            "selector.policies.second.downsampling.limit=3 has no effect: set "
            "selector.policies.second.presampling.limit",
        ),
        (
            f"{ENSEMBLE} trigger.members.d.warmup_trigger=time",
            "trigger.members.d.warmup_trigger='time' is no Trigger: choose one as in "
            "+trigger@trigger.members.d.warmup_trigger=time",
        ),
        (
            f"{ENSEMBLE} trigger/decision@trigger.members.d.decision=hypothesis_test",
            "trigger/decision@trigger.members.d.decision=hypothesis_test decides on p-values, but distance mmd gives "
            "none: use trigger/distance@trigger.members.d.distance=kernel_two_sample, ",
        ),
        (
            "trigger=ensemble +trigger@trigger.members.interval=drift trigger.members.interval.interval=0",
            "trigger.members.interval.interval=0 must be at least 1",
        ),
        (f"{WARMUP}=time trigger.warmup_trigger.every=soon", "trigger.warmup_trigger.every='soon' is not a duration"),
        (
            f"{WARMUP}=drift trigger.warmup_trigger.warmup_trigger=time",
            "trigger.warmup_trigger.warmup_trigger='time' is no Trigger",
        ),
        (f"{FURTHER}=cusum trigger.detectors.x.decision.limit=0", "trigger.detectors.x.decision.limit=0 must be above"),
        (f"{FURTHER}=hypothesis_test", "trigger/decision@trigger.detectors.x.decision=hypothesis_test decides on"),
        (f"{INNER} trigger.members.e.rule=x", "trigger.members.e.rule='x' must be one of any, majority, all"),
        (
            f"{INNER} {PERFORMANCE} trigger.members.e.members.p.metric=acuracy",
            "trigger.members.e.members.p.metric: there is no metric 'acuracy'; did you mean 'accuracy'?",
        ),
        ("trigger=drift trigger.decision.quantile=2", "trigger.decision.quantile=2 must lie in"),
    ],
)
def test_what_is_wrong_with_a_part_is_told_of_where_it_stands(overrides: str, expected: str):
    message = refusal(*overrides.split())
    assert message.startswith(expected)
    assert "\n" not in message
