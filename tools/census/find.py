"""Which classes of a wheel are normalization layers of one input?"""

import ast
import hashlib
import re
from dataclasses import dataclass

from census.wheel import Module

_NAME = re.compile(r"norm|^LN|LN$|LN\d", re.IGNORECASE)
_OTHER = re.compile(  # other kinds of normalization, and what only has a norm inside
    r"batch|group|instance|spectral|weight_?norm|normal(?!ization)|evo_?norm|grn|response"
    r"|act(?:fp32|2d)*$|activation|block|attention|linear|conv(?!next)|head|lstm|config$|embed|encoder|ada(?!pt)|adaptive|downsample|test",
    re.IGNORECASE,
)
_STATISTICS = {
    *("layer_norm", "rms_norm", "native_layer_norm", "rsqrt", "var", "std", "var_mean", "std_mean"),
    *("norm", "normalize", "mean", "moments"),
}
_BASES = re.compile(r"(LayerNorm|RMSNorm|RmsNorm)\w*$")
_MENTIONS = re.compile(
    r"^\s*class \w*(norm|LN)", re.IGNORECASE | re.MULTILINE
)  # parsing takes time
_CALLED = ("forward", "__call__", "call")
_FRAMEWORKS = ("torch", "keras", "flax", "haiku", "equinox", "mlx", "tinygrad")
_GENERATED_FROM = re.compile(r"(^|/)modular_\w+\.py$")  # transformers writes modeling_* from them


@dataclass(frozen=True)
class Layer:
    """A class in a wheel.

    Attributes:
        module, name, line: where it stands.
        framework: the first framework that its file imports.
        digest: of its code and that of its bases in the same file, without names, docstrings and
            annotations; copies share it.
    """

    module: Module
    name: str
    line: int
    framework: str
    digest: str

    @property
    def key(self):
        """One line that names it in `reviewed.json`; another digest is another review."""
        return f"{self.module.wheel.package} {self.module.file}:{self.name}@{self.digest}"


def layers_of(wheel):
    """Yield the Layers of one wheel, by file and line."""
    for file in sorted(wheel.files):
        if _GENERATED_FROM.search(file):
            continue
        if not _MENTIONS.search(wheel.text(file)):
            continue
        module = wheel.module(file)
        framework = module and _framework(module)
        if not framework:
            continue
        for node in _top_level(module.tree.body):
            if isinstance(node, ast.ClassDef) and _is_layer(module, node):
                yield Layer(module, node.name, node.lineno, framework, _digest(module, node))


def _top_level(statements):
    """Yield the statements of a module, those in the branches of an if or a try among them."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            for handler in getattr(statement, "handlers", []):
                yield from _top_level(handler.body)
            yield from _top_level([*statement.body, *statement.orelse])


def _is_layer(module, node):
    if not _NAME.search(node.name) or _OTHER.search(node.name):
        return False
    family = [node, *_bases(module, node)]
    derived = any(_BASES.search(ast.unparse(base)) for base in node.bases)
    if not derived and not _STATISTICS & _names_called(family):
        return False
    methods = {
        f.name: f for n in reversed(family) for f in n.body if isinstance(f, ast.FunctionDef)
    }
    called = next((methods[name] for name in _CALLED if name in methods), None)
    return _takes_one_input(called) if called else derived


def _takes_one_input(function):
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    required = len(positional) - len(arguments.defaults)
    return required == 1 and all(d is not None for d in arguments.kw_defaults)


def _bases(module, node):
    """Return the classes of the same file from which a class is derived, nearest first."""
    found = []
    for base in node.bases:
        parent = module.definitions.get(getattr(base, "id", ""))
        if isinstance(parent, ast.ClassDef) and parent is not node:
            found += [parent, *_bases(module, parent)]
    return found


def _names_called(nodes):
    calls = (n.func for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call))
    return {getattr(f, "attr", getattr(f, "id", "")) for f in calls}


def _framework(module):
    """Return the first framework that a file imports; None where it imports none."""
    imported = set()
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((module.origin(node) or "").partition(".")[0])
    return next((f for f in _FRAMEWORKS if f in imported), None)


# --- copies ---------------------------------------------------------------------------------------


def _digest(module, node):
    text = "\n".join(_bare(n) for n in [node, *_bases(module, node)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _bare(node):
    """Return a class as code alone: no names of its own, docstrings, annotations, decorators."""
    tree = ast.parse(ast.unparse(node))
    name = tree.body[0].name
    for part in ast.walk(tree):
        match part:
            case ast.ClassDef() | ast.FunctionDef():
                part.decorator_list = []
                part.body = [b for b in part.body if not _says_only(b)] or [ast.Pass()]
                part.returns = None
                if part.name == name:
                    part.name = "_"
            case ast.arg():
                part.annotation = None
            case ast.Name() if part.id == name:
                part.id = "_"
    return ast.unparse(tree)  # the same text on every version of Python, unlike ast.dump


def _says_only(statement):
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    is_repr = isinstance(statement, ast.FunctionDef) and statement.name in (
        "extra_repr",
        "__repr__",
    )
    is_declared = isinstance(statement, ast.AnnAssign) and statement.value is None
    return is_text or is_repr or is_declared
