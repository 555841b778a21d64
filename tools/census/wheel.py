"""What is in a wheel: its modules, parsed on demand, and where each name in them comes from."""

import ast
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

COMPOUND = (ast.If, ast.Try, ast.With)


class Wheel:
    """A wheel on disk.

    Attributes:
        path: the file.
        package, version: as the file's name gives them, the package with hyphens.
    """

    def __init__(self, path):
        self.path = Path(path)
        package, self.version = self.path.name.split("-")[:2]
        self.package = package.replace("_", "-").lower()
        self._modules = {}

    @cached_property
    def files(self):
        """The names of its Python files, tests left out."""
        return frozenset(
            n for n in self._archive.namelist() if n.endswith(".py") and not _is_test(n)
        )

    @cached_property
    def _archive(self):
        return zipfile.ZipFile(self.path)

    def text(self, file):
        """Return the text of one file."""
        return self._archive.read(file).decode("utf-8", "replace")

    def module(self, file):
        """Return the Module in one file; None where it is not Python that this Python reads."""
        if file not in self._modules:
            text = self.text(file)
            try:
                self._modules[file] = Module(self, file, text, ast.parse(text))
            except (SyntaxError, ValueError):
                self._modules[file] = None
        return self._modules[file]

    def close(self):
        """Forget its modules: a large package takes a gigabyte of them."""
        self._modules.clear()
        self._archive.close()

    def find(self, dotted):
        """Return the Module of a dotted name, or None where the wheel has none."""
        stem = dotted.replace(".", "/")
        for file in (f"{stem}.py", f"{stem}/__init__.py"):
            if file in self.files:
                return self.module(file)
        return None


def _is_test(name):
    parts = name.lower().split("/")
    return "tests" in parts or "test" in parts or parts[-1].startswith("test_")


@dataclass(frozen=True, eq=False)
class Module:
    """One parsed file of a wheel."""

    wheel: Wheel
    file: str
    text: str
    tree: ast.Module

    @cached_property
    def package(self):
        """The dotted name against which its relative imports are resolved."""
        return ".".join(self.file.split("/")[:-1])

    @cached_property
    def definitions(self):
        """{name: the top-level statement that binds it}; a branch of an if counts as its whole."""
        found = {}
        for statement in self.tree.body:
            for name in bound(statement):
                found.setdefault(name, statement)
        return found

    @cached_property
    def rebindings(self):
        """{name: the top-level statements that bind it again, as `if available: flag = True`}."""
        found = {}
        for statement in self.tree.body:
            for name in bound(statement):
                if self.definitions[name] is not statement:
                    found.setdefault(name, []).append(statement)
        return found

    def origin(self, statement):
        """Return the absolute dotted name of the module that a from-import names."""
        if not statement.level:
            return statement.module
        parts = self.package.split(".")
        base = parts[: len(parts) - statement.level + 1]
        return ".".join([*base, *filter(None, [statement.module])])


def bound(statement):
    """Yield the names that a statement binds at the level where it stands."""
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0]
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            targets = getattr(statement, "targets", None) or [statement.target]
            for node in (n for target in targets for n in ast.walk(target)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id
        case _ if isinstance(statement, COMPOUND):
            for part in ("body", "orelse", "finalbody"):
                for inner in getattr(statement, part, []):
                    yield from bound(inner)
            for handler in getattr(statement, "handlers", []):
                for inner in handler.body:
                    yield from bound(inner)
