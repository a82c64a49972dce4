"""A hook of MkDocs: one page of API reference for each package, made from its docstrings when the docs are built."""

from __future__ import annotations

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SOURCE = Path(__file__).parents[1] / "src/unveil"
NAV = "Reference"
NO_API = {"cli", "__main__"}  # `unveil --help` describes the commands


def modules() -> list[str]:
    """Return the packages and modules directly below ``unveil``, sorted."""
    packages = [path.parent.name for path in SOURCE.glob("*/__init__.py")]
    files = [path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__"]
    return sorted({*packages, *files} - NO_API)


def summary(name: str) -> str:
    """Return the first line of the docstring of a package or module."""
    path = SOURCE / name / "__init__.py" if (SOURCE / name).is_dir() else SOURCE / f"{name}.py"
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages below "Reference"."""
    pages = [{name: f"reference/{name}.md"} for name in modules()]
    config.nav = [*(config.nav or []), {NAV: ["reference/index.md", *pages]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    rows = "".join(f"| [`unveil.{name}`]({name}.md) | {summary(name)} |\n" for name in modules())
    start = f"# API reference\n\n::: unveil\n\n## Packages\n\n| | |\n|---|---|\n{rows}"
    files.append(File.generated(config, "reference/index.md", content=start))
    for name in modules():
        page = f"# unveil.{name}\n\n::: unveil.{name}\n    options: {{show_submodules: true}}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    return files
