"""Cut one class out of a wheel, with what it needs, so that it runs without its package.

What a class needs is followed by name: its bases, helpers and constants, through the wheel's own
modules. Imports of what is installed stay. Everything else becomes a `Missing`, which may be named
but not called: a layer that calls one is reported as not built, with the name that it needs.
"""

import ast
import copy
import re
import sys

from census.wheel import COMPOUND, bound

_KEPT = {
    *("torch", "numpy", "einops", "typing_extensions"),
    *("jax", "flax", "haiku", "equinox", "keras", "mlx", "tinygrad", "onnxruntime"),
}
_AVAILABLE = re.compile(r"^(is_|_?has_|_?have_)\w*$|^\w+_(available|installed)$", re.IGNORECASE)
_MOST = 150  # statements; a class that needs more is not cut out, but dragged along

_PRELUDE = '''\
from __future__ import annotations

class NeedsPackage(Exception):
    """Something was called that is not in this wheel and not installed."""

class _MissingType(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing(f"{cls.__name__}.{name}")
    def __call__(cls, *args, **kwargs):
        if _MissingType in map(type, cls.__mro__[1:]):  # a class derived from it
            return type.__call__(cls, *args, **kwargs)
        raise NeedsPackage(cls.__name__)
    def __getitem__(cls, key):
        return cls
    def __or__(cls, other):
        return cls
    __ror__ = __or__

def _missing(name):
    return _MissingType(name, (), {})

def _namespace(function):
    import types
    return types.SimpleNamespace(**function())

def _unavailable(*args, **kwargs):
    return False

def _available(*args, **kwargs):
    return True
'''


class TooEntangled(Exception):
    """A class that cannot be cut out, and why."""


def cut_out(layer):
    """Return the source of a module that defines one class of a wheel.

    Args:
        layer: a `find.Layer`.

    Returns:
        str, Python source. The class stands under its own name; what comes from another file of
        the wheel stands in a function that is that file's namespace.

    Raises:
        TooEntangled: it needs too much of its package, or its files need each other.
    """
    cut = _Cut()
    cut.need(layer.module, layer.name)
    parts = []
    for module in cut.in_order(layer.module):
        body = cut.spaces[module]
        if module is not layer.module:
            body = ast.parse(f"@_namespace\ndef {_space(module)}(): return locals()").body
            body[0].body[:0] = cut.spaces[module]
        parts += body
    return "\n\n".join([_PRELUDE, *map(ast.unparse, parts)]) + "\n"


def _space(module):
    return "_" + re.sub(r"\W", "_", module.file.removesuffix(".py"))


class _Cut:
    def __init__(self):
        self.spaces = {}  # module -> the statements taken of it
        self._needs = {}  # module -> the other modules that its statements name
        self._done = set()

    def in_order(self, last):
        """Return the modules, each after those that it needs."""
        order, open_ = [], []

        def visit(module):
            if module in open_:
                raise TooEntangled("files of its package need each other")
            if module not in order:
                open_.append(module)
                for other in self._needs.get(module, ()):
                    visit(other)
                open_.pop()
                order.append(module)

        visit(last)
        return order

    def need(self, module, name):
        """Take what binds a name in a module, after what that needs; say if anything binds it."""
        statement = module.definitions.get(name)
        if statement is None:
            return self._need_starred(module, name)
        shared = not isinstance(statement, (ast.Import, ast.ImportFrom, *COMPOUND))
        key = (module, statement if shared else name)
        if key in self._done:
            return True
        self._done.add(key)
        self.spaces.setdefault(module, [])
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._import(module, statement, name)
        elif name in ("logger", "log"):
            self._say(module, "import logging", f"{name} = logging.getLogger(__name__)")
        else:
            for binding in (statement, *module.rebindings.get(name, ())):
                self._take(module, binding, name)
        return True

    def _take(self, module, statement, name):
        if sum(map(len, self.spaces.values())) > _MOST:
            raise TooEntangled(f"it needs more than {_MOST} statements of its package")
        original, statement = statement, _only(copy.deepcopy(statement), name)
        self._drop_decorators(module, statement)
        for node in list(ast.walk(statement)):
            self._lift_imports(module, node)
        if isinstance(statement, ast.ClassDef):
            _without_useless_methods(statement)
        for name in _names_used(statement):
            if module.definitions.get(name) is not original:
                self.need(module, name)
        for name, attribute in _attributes_used(statement):
            self._need_attribute(module, name, attribute)
        self.spaces[module].append(statement)

    def _drop_decorators(self, module, tree):
        """Leave out decorators of the package's own: they register, document or compile."""

        def stays(decorator):
            root = _root(decorator)
            statement = module.definitions.get(root)
            if isinstance(statement, ast.Import | ast.ImportFrom):
                return self._is_installed(statement)
            return statement is None

        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                node.decorator_list = [d for d in node.decorator_list if stays(d)]

    def _need_attribute(self, module, name, attribute):
        """Take what a statement reads of another module of the wheel, as in `util.helper`."""
        statement = module.definitions.get(name)
        if not isinstance(statement, ast.ImportFrom) or self._is_installed(statement):
            return
        entry = next(a for a in statement.names if name in (a.asname, a.name))
        source = module.wheel.find(f"{module.origin(statement)}.{entry.name}")
        if source and source is not module and self.need(source, attribute):
            self._needs.setdefault(module, {})[source] = None
            self._say(module, f"{name} = {_space(source)}")

    def _lift_imports(self, module, node):
        """Replace the inner imports of what is not installed by what they bring."""
        tried = isinstance(node, ast.Try)
        for part in ("body", "orelse", "finalbody"):
            block = getattr(node, part, None)
            if not isinstance(block, list):
                continue
            kept = []
            for statement in block:
                imports = isinstance(statement, ast.ImportFrom | ast.Import)
                if not imports or tried or self._is_installed(statement):
                    kept.append(statement)  # what is tried and not installed fails, as it should
                else:
                    for alias in statement.names:
                        self._import(
                            module, statement, alias.asname or alias.name.partition(".")[0]
                        )
            setattr(node, part, kept or ([ast.Pass()] if block else []))

    def _is_installed(self, statement):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            names = [] if statement.level else [statement.module]
        return bool(names) and all(map(_is_installed, names))

    def _import(self, module, statement, name):
        """Bind a name that a module imports: from its wheel, from elsewhere, or as missing."""
        entry = next(
            a for a in statement.names if name in (a.asname, a.name, a.name.partition(".")[0])
        )
        if self._is_installed(statement):
            self.spaces[module].append(
                ast.Import([entry])
                if isinstance(statement, ast.Import)
                else ast.ImportFrom(statement.module, [entry], 0)
            )
            return
        origin = "" if isinstance(statement, ast.Import) else module.origin(statement) or ""
        source = module.wheel.find(origin) if origin else None
        if origin and _AVAILABLE.search(entry.name):
            known = entry.name in (
                "is_torch_available",
                "is_einops_available",
                "is_numpy_available",
            )
            self._say(module, f"{name} = {'_available' if known else '_unavailable'}")
        elif source and source is not module and self.need(source, entry.name):
            self._needs.setdefault(module, {})[source] = None
            self._say(module, f"{name} = {_space(source)}.{entry.name}")
        elif entry.name.endswith("Module"):
            self._say(module, f"from torch.nn import Module as {name}")
        else:
            self._say(module, f"{name} = _missing({f'{origin}.{entry.name}'.lstrip('.')!r})")

    def _need_starred(self, module, name):
        """Look for a name in what a module imports with a star; builtins are found in none."""
        for statement in module.tree.body:
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                source = module.wheel.find(module.origin(statement) or "")
                if source and source is not module and self.need(source, name):
                    self.spaces.setdefault(module, [])
                    self._needs.setdefault(module, {})[source] = None
                    self._say(module, f"{name} = {_space(source)}.{name}")
                    return True
        return False

    def _say(self, module, *lines):
        for line in lines:
            self.spaces[module] += ast.parse(line).body


def _is_installed(dotted):
    top = dotted.partition(".")[0]
    return top in _KEPT or top in sys.stdlib_module_names


def _only(statement, name):
    """Leave out of an if, try or with what does not bind a name; imports that are tried stay."""
    if isinstance(statement, COMPOUND):
        tried = isinstance(statement, ast.Try)
        for block in (statement, *getattr(statement, "handlers", [])):
            for part in ("body", "orelse", "finalbody"):
                inner = [
                    _only(s, name)
                    for s in getattr(block, part, [])
                    if name in bound(s)
                    or (tried and isinstance(s, ast.Import | ast.ImportFrom | ast.Raise))
                ]
                if hasattr(block, part):
                    must = part == "body" or (part == "finalbody" and not block.handlers)
                    setattr(block, part, inner or ([ast.Pass()] if must else []))
    return statement


def _attributes_used(statement):
    """Return the (name, attribute) pairs that a statement reads, each once, in order."""
    found = {
        (node.value.id, node.attr): None
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return list(found)


def _root(node):
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")


def _without_useless_methods(node):
    """Leave out methods that neither build the layer nor run it, and would drag much along."""
    useless = (
        "extra_repr",
        "get_config",
        "from_config",
        "from_hf",
        "_load_from_state_dict",
        "load",
    )
    node.body = [b for b in node.body if getattr(b, "name", "") not in useless] or [ast.Pass()]


def _names_used(statement):
    """Return the names that a statement reads, those in annotations aside, in order."""
    found = {}

    class Reader(ast.NodeVisitor):
        def visit_Name(self, node):
            if isinstance(node.ctx, ast.Load):
                found[node.id] = None

        def visit_arg(self, node):
            pass

        def visit_AnnAssign(self, node):
            if node.value:
                self.visit(node.value)

        def visit_FunctionDef(self, node):
            for part in (*node.decorator_list, node.args, *node.body):
                self.visit(part)

    Reader().visit(statement)
    return list(found)
