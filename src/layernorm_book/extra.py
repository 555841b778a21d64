"""What do the labs and the figures need besides NumPy and torch, and how does it get here?

The judge and the reference do without: whoever checks a layer in CI installs no front end.
"""

from importlib.util import find_spec

COMMAND = "python -m pip install matplotlib ipywidgets anywidget"


def need(purpose: str, *packages: str) -> None:
    """Refuse in one sentence where a package of the extra `labs` is missing.

    Raises:
        ImportError: a package is not installed; says which, for what, and the command.
    """
    if missing := [name for name in packages if not find_spec(name)]:
        names = " and ".join(missing)
        raise ImportError(f"{purpose} need {names}, not installed here. Install with: {COMMAND}")
