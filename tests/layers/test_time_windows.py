"""Windows over time: in pieces they give what they give at once, and padding changes nothing."""

import pytest
import torch

from rnn_hub.layers.time_windows import JoinedSteps, TimeConvolution

KINDS = {
    "kernel 5, stride 2": lambda: TimeConvolution(3, 4, 5, 2),
    "kernel 5, stride 1": lambda: TimeConvolution(3, 4, 5, 1),
    "kernel 3, stride 3": lambda: TimeConvolution(3, 4, 3, 3),
    "two joined": lambda: JoinedSteps(3, 2),
    "three joined": lambda: JoinedSteps(3, 3),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def layer(request):
    return request.param()


@pytest.mark.parametrize("length", [1, 2, 7, 12])
@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_a_stream_in_pieces_is_the_whole(layer, length, size) -> None:
    x = torch.randn(2, length, 3)
    expected, mask = layer(x, torch.ones(2, length, dtype=torch.bool))
    state, parts = layer.init_state(x), []
    for part in (*x.split(size, dim=1), x[:, :0]):
        y, state = layer.push(part, state, last=part.shape[1] == 0)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected)
    assert expected.shape == (2, -(-length // layer.stride), layer.output_size) and mask.shape == expected.shape[:2]
    assert state.shape[1] < layer.kernel_size  # constant, however long it was


@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_padding_and_what_stands_in_it_change_nothing(layer, length) -> None:
    x = torch.randn(1, length, 3)
    alone, _ = layer(x, torch.ones(1, length, dtype=torch.bool))
    padded = torch.cat([x, torch.full((1, 7, 3), 99.0)], dim=1)
    found, mask = layer(padded, torch.arange(length + 7)[None] < length)
    assert mask.sum() == alone.shape[1]
    torch.testing.assert_close(found[mask][None], alone)


def test_no_output_sees_an_input_after_its_own_stride() -> None:
    layer, x = TimeConvolution(3, 4, 5, 2), torch.randn(1, 8, 3, requires_grad=True)
    layer(x, torch.ones(1, 8, dtype=torch.bool))[0][:, 1].sum().backward()
    assert x.grad[0, 4:].abs().sum() == 0 and x.grad[0, :4].abs().sum() > 0


def test_a_window_that_leaves_steps_out_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 2 steps can move on by 1 to 2 steps, not 3"):
        TimeConvolution(3, 4, 2, 3)
