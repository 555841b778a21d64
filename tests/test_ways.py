"""The ways to x̂ agree on paper, and each rounds as its docstring says."""

import pytest
import torch

from layernorm_book.chapters.ways import (
    STEPS,
    WAYS,
    error,
    one_step_rounded,
    pytorch,
)


def rows(mean, n=768, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(64, n, generator=generator, dtype=torch.float64) + mean).to(dtype)


@pytest.mark.parametrize("n", [1, 2, 5, 64, 99])
@pytest.mark.parametrize("way", WAYS)
def test_on_paper_they_agree(way, n):
    x = rows(3.0, n, torch.float64)
    torch.testing.assert_close(WAYS[way](x), pytorch(x), rtol=0, atol=1e-11)


@pytest.mark.parametrize("way", WAYS)
def test_each_computes_in_the_dtype_of_x(way):
    assert WAYS[way](rows(0)).dtype == torch.float32


def test_two_of_them_do_not_feel_the_mean():
    for mean in (1e4, 1e6):
        x = rows(mean)
        errors = {name: error(way, x) for name, way in WAYS.items() if name != "one pass"}
        steady = {name for name, size in errors.items() if size < 5e-5}
        assert steady == {"centred twice", "shifted"}, errors
    assert not WAYS["one pass"](rows(1e4)).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_one_step_alone_is_rounded(dtype):
    x = (5 * rows(16)).to(dtype)
    assert error(pytorch, x.float()) < 1e-5
    for step in STEPS:
        x_hat = one_step_rounded(x, step)  # (64, 768)
        assert x_hat.dtype == torch.float32
        assert torch.equal(x_hat.to(dtype).float(), x_hat) == (step == "the output"), step
        assert error(one_step_rounded, x, step) > 1e-4, step
    cost = error(one_step_rounded, x, "the output")
    assert cost == pytest.approx(error(pytorch, x), rel=0.05)


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="no step is called 'the mode'"):
        one_step_rounded(rows(0).half(), "the mode")
