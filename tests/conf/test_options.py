"""Every YAML file composes and builds; every policy has one, whose keys are its constructor's arguments."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modyn_bench.commands.schema import field_hints
from modyn_bench.commands.targets import locate, read_signature, signature_of
from modyn_bench.config import SECTIONS
from modyn_bench.data.preprocessing import InputSpec
from modyn_bench.preflight import check_jobs

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PACKAGE = ROOT / "modyn_bench"
POLICY_GROUPS = {
    "trigger/distance": ("drift", "modyn_bench.drift.base.Distance"),
    "trigger/decision": ("decisions", "modyn_bench.decisions.base.DecisionRule"),
    "trigger": ("triggers", "modyn_bench.triggers.base.Trigger"),
    "selector": ("selectors", "modyn_bench.selectors.base.Selector"),
}
OPTIONS = sorted(CONF.rglob("*.yaml"))
TARGETED = [path for path in OPTIONS if path.relative_to(CONF).parts[0] in ("dataset", "model", "selector", "trigger")]

# What an option needs before it can be built, because nothing could be its default.
NEEDED = {
    "dataset=images": {
        "dataset.path": "{folder}/rows.csv",
        "dataset.image": "size",
        "dataset.timestamp": "time",
        "dataset.label": "label",
    },
    "dataset=table": {"dataset.path": "{folder}/rows.csv", "dataset.timestamp": "time", "dataset.label": "label"},
    "dataset=records": {"dataset.path": "{folder}/clicks.bin"},
    "+experiment/paper=cglm_throughput": {
        "dataset.path": "{folder}/rows.csv",
        "dataset.image": "size",
        "dataset.timestamp": "time",
        "dataset.label": "label",
    },
    "+experiment/paper=criteo_throughput": {"dataset.path": "{folder}/clicks.bin"},
    "dataset=huggingface": {"dataset.path": "owner/name", "dataset.timestamp": "time", "dataset.label": "label"},
    "model=pretrained_text": {"model.path": "{folder}"},
}


def name_of(path: Path) -> str:
    return str(path.relative_to(CONF).with_suffix(""))


def content(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text()) or {}


def override_of(path: Path) -> list[str]:
    group, option = path.relative_to(CONF).parent.as_posix(), path.stem
    if group.startswith("experiment"):
        return [f"+{group}={option}"]
    tested = ["trigger/distance=kernel_two_sample"] if option == "hypothesis_test" else []  # it decides on p-values
    return [*(["trigger=drift"] if group.startswith("trigger/") else []), *tested, f"{group}={option}"]


def documented(target: type) -> set[str]:
    """The names that the docstrings of a class and its parents describe under Args or Attributes."""
    text = "\n".join(inspect.getdoc(base) or "" for base in inspect.getmro(target))
    sections = re.findall(r"^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)*)", text, re.MULTILINE)
    return {name for section in sections for name in re.findall(r"^ {4}(\w+)(?: \(.*\))?:", section, re.MULTILINE)}


def policies(group: str) -> list[type]:
    """Every public concrete policy of a group, found by reading the package."""
    folder, base_path = POLICY_GROUPS[group]
    base = locate(base_path)
    assert isinstance(base, type)
    found = []
    for file in sorted((PACKAGE / folder).rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        names = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
        classes = [getattr(importlib.import_module(module), name) for name in names if not name.startswith("_")]
        found += [one for one in classes if issubclass(one, base) and not inspect.isabstract(one)]
    return found


FILLED_IN = {field.name for field in dataclasses.fields(InputSpec)}  # what a model gets from the dataset
POLICIES = [(group, policy) for group in POLICY_GROUPS for policy in policies(group)]


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    lines = [f"2020-01-{day:02d},{day * 0.5},{'no' if day % 2 else 'yes'}" for day in range(1, 29)]
    (folder / "rows.csv").write_text("\n".join(["time,size,label", *lines]) + "\n")
    (folder / "clicks.bin").write_bytes(bytes(160 * 4))
    return folder


def needed(overrides: list[str], folder: Path) -> list[str]:
    values = {key: value for one in overrides for key, value in NEEDED.get(one, {}).items()}
    return [f"{key}={value.format(folder=folder)}" for key, value in values.items()]


@pytest.mark.parametrize("path", OPTIONS, ids=name_of)
def test_every_option_composes_and_builds(path: Path, rows: Path):
    if path.name == "config.yaml":
        (job,) = check_jobs([])
    else:
        overrides = override_of(path)
        (job,) = check_jobs([*overrides, *needed(overrides, rows)])
    assert "???" not in str(job.config)


@pytest.mark.parametrize("path", OPTIONS, ids=name_of)
def test_every_option_begins_with_what_it_is(path: Path):
    lines = path.read_text().splitlines()
    comment = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert re.match(r"# \S", comment), "the first line says what the option is"
    if path.relative_to(CONF).parts[0] == "experiment":
        assert re.match(r"# modyn-bench run ", comment), "an experiment begins with the command that runs it"


@pytest.mark.parametrize("path", TARGETED, ids=name_of)
def test_keys_are_the_constructors_arguments(path: Path):
    keys = {key for key in content(path) if key not in ("_target_", "_recursive_", "defaults")}
    defaults = [key for one in content(path).get("defaults", []) if one != "_self_" for key in one]
    members = {re.split(r"[@.]", key)[1] if "@" in key else key for key in defaults}
    target = content(path)["_target_"]
    if path.parent.name == "model":  # reading it, instead of importing it, is what the preflight does
        signature = read_signature(target)
        assert signature is not None
        assert keys <= set(signature.names)
        return
    found = locate(target)
    assert keys | members == set(signature_of(found).names)
    assert keys | members <= documented(found), "every option is described in the docstring"  # type: ignore[arg-type]


def parameters_of(target: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Those of the constructor, and of the constructors that it hands ``**options`` on to."""
    found = dict(inspect.signature(target).parameters)
    if "options" in found and isinstance(target, type):
        for parent in target.__mro__[1:]:
            found = {**inspect.signature(parent.__init__).parameters, **found}
    return found


@pytest.mark.parametrize("path", TARGETED, ids=name_of)
def test_values_are_the_constructors_defaults(path: Path):
    target = content(path)["_target_"]
    parameters = parameters_of(locate(target))
    for key, value in content(path).items():
        if key in ("_target_", "_recursive_", "defaults") or parameters[key].default is inspect.Parameter.empty:
            continue
        if value is None and path.parent.name == "model" and key in FILLED_IN:
            continue
        default = default_of(parameters[key].default, target, key)
        if isinstance(value, dict) and "_target_" in value and default is None:
            continue  # made by the constructor where it is not given
        assert plain(value) == plain(default), f"{key} is {value!r} in {path.name} and {default!r} in the class"


def default_of(default: object, target: str, key: str) -> object:
    """A dataclass hides the default of a list behind a factory."""
    found = locate(target)
    if key == "mode" and default is None and hasattr(found, "modes"):
        return found.modes[0]  # of a downsampling
    if not dataclasses.is_dataclass(found):
        return default
    field = {one.name: one for one in dataclasses.fields(found)}[key]
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def plain(value: object) -> object:
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(("group", "policy"), POLICIES, ids=lambda value: getattr(value, "__name__", value))
def test_every_policy_has_one_option_of_its_name(group: str, policy: type):
    target = f"{policy.__module__}.{policy.__qualname__}"
    options = [path.stem for path in (CONF / group).glob("*.yaml") if content(path).get("_target_") == target]
    assert options == [policy.name]  # type: ignore[attr-defined]


def test_there_are_policies():
    assert {policy.__name__ for _, policy in POLICIES} >= {"Never", "Once", "Amount", "Time", "NewData", "Uniform"}


@pytest.mark.parametrize("group", ["training", "evaluation", "logger"])
def test_options_without_a_class_have_the_schemas_keys_and_types(group: str):
    schema = SECTIONS[group]
    for path in sorted((CONF / group).glob("*.yaml")):
        keys = set(content(path)) - {"defaults"}
        assert keys <= set(field_hints(schema)), path.name
        if path.stem in ("default", "wandb"):
            assert keys == set(field_hints(schema)), path.name
    assert set(field_hints(schema)) <= documented(schema), "every option is described in the docstring"


@pytest.mark.parametrize("group", ["replay", "runs"])
def test_the_main_files_sections_have_the_schemas_defaults(group: str):
    assert content(CONF / "config.yaml")[group] == dataclasses.asdict(SECTIONS[group]())
    assert set(field_hints(SECTIONS[group])) <= documented(SECTIONS[group])


def test_hydra_owns_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    check_jobs(["trigger=glob(*)", "seed=0,1"], multirun=True)
    assert list(tmp_path.iterdir()) == []
