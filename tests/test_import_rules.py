"""Who may import whom inside the package, read from the import statements.

A module's group is its first name below `oxiconv`: `oxiconv.layers.dense` is in `layers`. A group imports itself and
the groups named in its row, at the top of a module or inside a function. Imports for type checkers alone
(`if TYPE_CHECKING:`) do not run and are free.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "oxiconv"

Groups = frozenset[str]

# What imports nothing of the package.
LEAVES: Groups = frozenset({"absent", "allowance", "cache", "contact_sheet", "devices", "naming", "tree"})
# Tensors and what is done with them: the only modules that know the compiled core.
TENSORS: Groups = frozenset(
    {
        "autograd",
        "config",
        "dtype",
        "inference",
        "keras_tensor",
        "masks",
        "operators",
        "ops",
        "pullback",
        "random",
        "symbolic",
        "tape",
        "tensor",
        "trace",
        "variable",
    }
)
OPS: Groups = LEAVES | TENSORS
# Functions and small objects that layers are given.
PIECES: Groups = frozenset({"activations", "constraints", "initializers", "regularizers"})

MAY_IMPORT: dict[str, Groups] = {
    **dict.fromkeys(LEAVES, Groups()),
    **dict.fromkeys(TENSORS, OPS | {"_core"}),
    "saving": LEAVES | {"_core"},
    "identifier": Groups({"saving"}),
    "backend": OPS,
    **dict.fromkeys(PIECES, OPS | {"identifier", "saving"}),
    "dtype_policies": OPS | {"saving"},
    "mixed_precision": Groups({"dtype_policies", "optimizers"}),
    "losses": OPS | {"saving"},
    "metrics": OPS | {"losses", "saving"},
    "optimizers": OPS | {"saving"},
    "bounding_boxes": OPS,
    "layers": OPS | PIECES | {"bounding_boxes", "dtype_policies", "saving"},
    # Files and streams of batches.
    "images": Groups({"_core"}),
    "data": OPS,
    "utils": OPS | {"backend", "bounding_boxes", "data", "images", "saving"},
    "preprocessing": Groups({"absent", "utils"}),
    "visualization": OPS | {"bounding_boxes", "images"},
    "callbacks": OPS | {"saving", "utils"},
    "profiler": Groups({"_core", "utils"}),
    "trainer": OPS | {"callbacks", "losses", "metrics", "optimizers", "profiler", "random", "saving", "utils"},
    "models": OPS | {"dtype_policies", "layers", "trainer", "saving", "utils"},
    "applications": OPS | {"activations", "initializers", "layers", "models", "utils"},
    "datasets": Groups({"absent", "cache", "config", "images", "utils"}),
    # Modules whose names are all absent.
    **dict.fromkeys(("distillation", "distribution", "export", "legacy", "quantizers", "wrappers"), Groups({"absent"})),
    "demo": Groups({"", "contact_sheet", "datasets", "images"}),
    "__main__": Groups({"", "cache", "demo"}),
}
# Imports inside functions, where the need arises only at a user's call.
DEFERRED: dict[tuple[str, str], str] = {
    ("config", "dtype_policies"): "the global policy is an object",
    ("variable", "initializers"): "a variable may be given an initializer by name",
}


def imports(source: str, file: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, group ("" for the package as a whole) and whether inside a function, of each import that runs."""
    tree = ast.parse(source, str(file))
    for_types, in_functions = set[int](), set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for_types |= {id(inner) for branch in node.body for inner in ast.walk(branch)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            in_functions |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            # `from oxiconv import ops` and `from oxiconv.ops import add` both import the group `ops`.
            from_package = node.module == "oxiconv"
            names = [f"oxiconv.{alias.name}" for alias in node.names] if from_package else [node.module or ""]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "oxiconv":
                yield node.lineno, name.split(".")[1] if "." in name else "", id(node) in in_functions


def violations(root: Path) -> list[str]:
    found = []
    for file in sorted(root.rglob("*.py")):
        group = file.relative_to(root).parts[0].removesuffix(".py")
        if group == "__init__":
            continue  # the package itself gathers everything
        if group not in MAY_IMPORT:
            found.append(f"{group} has no row in MAY_IMPORT")
            continue
        for line, imported, in_function in imports(file.read_text(encoding="utf-8"), file):
            allowed = imported == group or imported in MAY_IMPORT[group]
            if not allowed and not (in_function and (group, imported) in DEFERRED):
                found.append(f"{file.relative_to(root)}:{line}: {group} must not import {imported or 'oxiconv'}")
    return found


def test_imports_follow_the_rules() -> None:
    assert violations(PACKAGE) == []


def test_only_tensors_and_files_know_the_core() -> None:
    """DESIGN: everything above the operations is written in terms of them."""
    assert {group for group, allowed in MAY_IMPORT.items() if "_core" in allowed} == TENSORS | {
        "images",
        "profiler",
        "saving",
    }


def test_rows_name_what_exists_and_have_no_cycle_above_the_tensors() -> None:
    groups = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(MAY_IMPORT) - groups == set()
    upper = {group: allowed - TENSORS - {group} for group, allowed in MAY_IMPORT.items() if group not in TENSORS}
    left = dict(upper)
    while left:
        free = [group for group, allowed in left.items() if not allowed & set(left)]
        assert free, f"MAY_IMPORT has a cycle among {sorted(left)}"
        for group in free:
            del left[group]


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("layers/dense.py", "from oxiconv import _core", "layers must not import _core"),
        ("layers/dense.py", "import oxiconv._core", "layers must not import _core"),
        ("losses/loss.py", "def f():\n    from oxiconv.layers.dense import Dense", "losses must not import layers"),
        ("datasets/mnist.py", "import oxiconv as keras", "datasets must not import oxiconv"),
        ("variable.py", "from oxiconv import initializers", "variable must not import initializers"),
        ("newcomer.py", "", "newcomer has no row in MAY_IMPORT"),
        ("layers/dense.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from oxiconv import _core", None),
        ("variable.py", "def f():\n    from oxiconv import initializers", None),
        ("layers/dense.py", "from oxiconv.layers.layer import Layer\nfrom oxiconv import ops", None),
    ],
)
def test_the_check_itself(tmp_path: Path, file: str, source: str, message: str | None) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(source)
    found = violations(tmp_path)
    assert len(found) == (message is not None)
    assert message is None or found[0].endswith(message)
