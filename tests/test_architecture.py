"""The structure is tested too: who imports whom, and how large things may grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "lading"
MODULES = sorted(SOURCE.rglob("*.py"))
LINES = [
    "errors events settings",
    "linux oci",
    "store",
    "layer",
    "snapshot",
    "image",
    "registry runtime network volume",
    "container build",
    "backup",
    "engine",
    "api cli web",
    "__main__",
]
RANK = {name: rank for rank, line in enumerate(LINES) for name in line.split()}
NOT_OURS = {"unused_data"}  # the name that the standard library's decompressors have for it
BANNED = {"manager", "helper", "util", "utils", "common", "data", "info", "misc"}
MOST_LINES = 400
MOST_FUNCTION_LINES = 40


def package_of(module: Path) -> str:
    first = module.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def packages_imported_by(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "lading":
                found |= {alias.name for alias in node.names if alias.name in RANK}
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {n.split(".")[1] for n in names if n.startswith("lading.")}
    return found


def functions(module: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(module.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
class TestEveryModule:
    def test_imports_point_downwards(self, module: Path) -> None:
        mine = package_of(module)
        if mine == "__init__":
            return
        for other in packages_imported_by(module) - {mine}:
            assert RANK[other] < RANK[mine], f"{module} must not import lading.{other}"

    def test_is_small(self, module: Path) -> None:
        assert len(module.read_text().splitlines()) <= MOST_LINES
        for function in functions(module):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{function.name} has {lines} lines"

    def test_says_its_job(self, module: Path) -> None:
        assert ast.get_docstring(ast.parse(module.read_text()))

    def test_uses_the_vocabulary(self, module: Path) -> None:
        names = {module.stem} | {f.name for f in functions(module)}
        for name in names - NOT_OURS:
            assert not BANNED & set(name.strip("_").split("_")[-1:]), name

    def test_never_extracts_with_tarfile_or_forks(self, module: Path) -> None:
        text = module.read_text()
        for banned in ("extractall(", "os.fork(", "shell=True", "pickle", "yaml.load", "eval("):
            assert banned not in text
