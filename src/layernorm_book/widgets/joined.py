"""Joins ES modules into the one string that anywidget takes as a widget's front end."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
_COMMENT = re.compile(r"^ *(?:/\*\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(r'^import\s*\{[^}]*\}\s*from\s*"\./([^"]+)";\n', re.MULTILINE)


def join_modules(*names):
    """Join modules of this folder, dependencies first; drop the imports between them, and comments.

    So the arithmetic has one copy, which the tests import by itself, and its comments, a tenth of
    the bytes, stay in the source.

    Args:
        names: file names; each may import by name from those before it.

    Returns:
        str: one module. What any of them exports stays exported.

    Raises:
        ValueError: a module imports one that was not named before it.
    """
    parts = []
    for position, name in enumerate(names):
        source = (FOLDER / name).read_text(encoding="utf-8")
        absent = set(_IMPORT.findall(source)) - set(names[:position])
        if absent:
            raise ValueError(f"{name} imports {', '.join(absent)}: name it before {name}.")
        parts.append(_COMMENT.sub("", _IMPORT.sub("", source)))
    return "\n".join(parts)
