"""Is a reader's answer to an exercise right, and if not, on which input does it differ?"""

import numpy as np


def check_answer(answer, expected, inputs, rtol=1e-6):
    """Say whether a reader's function gives what is expected, and on which input it does not.

    Args:
        answer: the reader's function; one that returns None is not written yet.
        expected: a function of the same arguments, which gives the right results.
        inputs: list of tuples of arguments.
        rtol: largest relative error allowed, measured against the largest expected value.

    Returns:
        str: one line for the notebook to show. Never raises for a wrong answer.

    Example:
        >>> check_answer(lambda x: x + x, lambda x: 2 * x, [(1.0,), (2.5,)])
        'Right, on 2 of 2 inputs.'
        >>> check_answer(lambda x: None, lambda x: 2 * x, [(1.0,)])
        'Not written yet: the function returns None.'
    """
    for arguments in inputs:
        want = np.asarray(expected(*arguments), dtype=float)
        try:
            got = answer(*arguments)
            if got is None:
                return "Not written yet: the function returns None."
            got = np.asarray(got, dtype=float)
        except Exception as error:
            return f"Not yet: it raises {type(error).__name__}: {error}"
        if got.shape != want.shape:
            return f"Not yet: the result has shape {got.shape}, expected {want.shape}."
        if not np.allclose(got, want, rtol=0, atol=rtol * np.abs(want).max(initial=1e-300)):
            shown = ", ".join(np.array2string(np.asarray(a), precision=4) for a in arguments)
            return f"Not yet: for {shown} it gives {got}, expected {want}."
    return f"Right, on {len(inputs)} of {len(inputs)} inputs."
