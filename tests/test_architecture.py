"""Which way imports point, what is never imported, and what no file may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "modyn_bench"
FILES = sorted(PACKAGE.rglob("*.py"))

# A file imports from its own level or from lower ones. The first part of a module's name below modyn_bench decides.
LEVELS = (
    ("types", "errors", "parts", "seeding", "timespan", "state", "config", "observer", "interruption"),
    ("data", "metrics"),
    ("drift", "decisions", "selectors", "models"),
    ("triggers",),
    ("inference",),
    ("training",),
    ("evaluation", "runs"),
    ("pipeline", "bookkeeping"),
    ("tracking", "analysis"),
    ("cli", "preflight", "commands", "jobs"),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
WITHOUT_TORCH = ("drift", "decisions", "selectors", "triggers")  # beside levels 0 and 1: the preflight builds these
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The part of the package that a module belongs to; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """All imports of a file, those inside functions included, as absolute names with their lines."""
    package = module_name(file) if file.name == "__init__.py" else module_name(file).rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            inside = [f"{name}.{alias.name}" for alias in node.names] if name == "modyn_bench" else [name]
            yield from ((node.lineno, module) for module in inside)


def calls(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def loaded_by(code: str, *names: str) -> list[str]:
    """Which of the named packages a fresh interpreter has loaded after running the code."""
    check = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_every_part_of_the_package_has_a_level():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert parts - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_downwards(file: Path):
    own = part_of(module_name(file))
    if not own:
        assert not [name for _, name in imports(file) if name.startswith("modyn_bench")]
        return
    upwards = [
        f"{file.relative_to(ROOT)}:{line}: {name} is of level {LEVEL[part_of(name)]}, this file of level {LEVEL[own]}"
        for line, name in imports(file)
        if part_of(name) in LEVEL and name.startswith("modyn_bench.") and LEVEL[part_of(name)] > LEVEL[own]
    ]
    assert not upwards


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_imports_what_stands_beside_the_package(file: Path):
    beside = {"conf", "experiments", "notebooks", "tests", "benchmarks", "scripts"}
    assert not [name for _, name in imports(file) if name.split(".")[0] in beside]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_evaluation_of_strings_and_no_pickles(file: Path):
    assert not [name for _, name in imports(file) if name.split(".")[0] in PICKLES]
    for call in calls(file):
        name = ast.unparse(call.func)
        assert name not in ("eval", "exec", "builtins.eval", "builtins.exec"), f"{file}:{call.lineno}"
        assert name not in ("torch.load", "torch.save", "pd.read_pickle"), f"{file}:{call.lineno}: pickles"
        for keyword in call.keywords:
            pickles = keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
            assert not pickles, f"{file}:{call.lineno}: allow_pickle"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_randomness_comes_from_seeding_alone(file: Path):
    if file == PACKAGE / "seeding.py":
        return
    assert not [name for _, name in imports(file) if name.split(".")[0] in ("random", "secrets")]
    for call in calls(file):
        name = ast.unparse(call.func).replace("numpy.", "np.", 1)
        assert not name.startswith("np.random."), f"{file}:{call.lineno}: {name}"
        assert not name.endswith("random.default_rng"), f"{file}:{call.lineno}: {name}"
        assert name not in ("torch.manual_seed", "torch.seed", "torch.cuda.manual_seed"), f"{file}:{call.lineno}"
        assert name.rpartition(".")[2] != "seed_everything", f"{file}:{call.lineno}"
        assert name != "hash", f"{file}:{call.lineno}: the hash of a text differs from process to process"
        draws = (
            "rand",
            "randn",
            "randint",
            "randperm",
            "multinomial",
            "bernoulli",
            "normal",
            "rand_like",
            "randn_like",
        )
        if name.startswith("torch.") and name.removeprefix("torch.") in draws:
            given = [keyword.arg for keyword in call.keywords]
            assert "generator" in given, f"{file}:{call.lineno}: {name} draws from the global state"


def test_low_levels_and_policies_never_load_torch():
    names = [module_name(file) for file in FILES]
    light = [n for n in names if LEVEL.get(part_of(n), 0) <= 1 or part_of(n) in WITHOUT_TORCH]
    assert len(light) > 20
    assert loaded_by("\n".join(f"import {name}" for name in light), "torch", "lightning") == []


def test_the_lowest_levels_never_name_torch():
    low = [file for file in FILES if LEVEL.get(part_of(module_name(file)), 0) <= 1 and file.name != "seeding.py"]
    assert not [(file, name) for file in low for _, name in imports(file) if name.split(".")[0] == "torch"]


HEAVY = ("torch", "lightning", "pandas", "wandb", "matplotlib", "rich", "datasets", "sklearn", "scipy")


def test_the_command_line_and_its_help_load_nothing_heavy():
    assert loaded_by("import modyn_bench.cli", *HEAVY, "pyarrow", "hydra", "numpy") == []
    help_text = "from modyn_bench.cli import main\ntry: main(['run', '--help'])\nexcept SystemExit: pass"
    assert loaded_by(help_text, *HEAVY, "pyarrow", "hydra", "numpy") == []


def test_the_preflight_and_wrong_requests_load_nothing_heavy():
    check = "from modyn_bench.preflight import check_jobs\n"
    assert loaded_by(f"{check}check_jobs(['selector=glob(*)', 'trigger=glob(*)'], multirun=True)", *HEAVY) == []
    wrong = "from modyn_bench.cli import main; assert main(['run', 'training.epochs=three', 'bogus=1']) == 2"
    assert loaded_by(wrong, *HEAVY) == []


def test_functions_and_files_stay_small():
    for file in FILES:
        text = file.read_text()
        assert len(text.splitlines()) <= 400, f"{file} is too long: split it"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = node.end_lineno - body[0].lineno + 1 if body else 0
                assert length <= 60, f"{file}:{node.lineno}: {node.name} has {length} lines"
