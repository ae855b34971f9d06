"""The convolutional LSTM over maps: its equations, its mask, its steps."""

import torch
import torch.nn.functional as F

from rnn_hub import RnnStack, static_rnn
from rnn_hub.cells import get_cell

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1]])


def stack(**options) -> RnnStack:
    torch.manual_seed(0)
    return RnnStack(3, 4, cell_type="conv_lstm", **options).double().eval()


def test_the_equations_of_shi_et_al_without_peepholes() -> None:
    layer = stack()
    with torch.no_grad():
        layer.bias_ih_l0.normal_()
        layer.bias_hh_l0.normal_()
    x = torch.randn(2, 6, 5, 7, 3).double()
    outputs, ((hidden, memory),) = layer(x)
    h = c = torch.zeros(2, 4, 5, 7).double()
    for step in range(6):
        sums = F.conv2d(x[:, step].permute(0, 3, 1, 2), layer.weight_ih_l0, layer.bias_ih_l0, padding=1)
        i, f, g, o = (sums + F.conv2d(h, layer.weight_hh_l0, layer.bias_hh_l0, padding=1)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        torch.testing.assert_close(outputs[:, step], h.permute(0, 2, 3, 1))
    torch.testing.assert_close(hidden, h.permute(0, 2, 3, 1))
    torch.testing.assert_close(memory, c.permute(0, 2, 3, 1))


def test_holes_and_padding_in_both_directions_freeze_the_maps() -> None:
    for options in ({"bidirectional": True, "num_layers": 2, "residual": True}, {"layer_norm": True}):
        layer, x = stack(**options), torch.randn(3, 5, 4, 6, 3).double()
        outputs, state = layer(x, MASK)
        static, _ = static_rnn(layer.cell(0), x, mask=MASK)
        assert static.shape == (3, 5, 4, 6, 4)
        for row in range(3):
            real = MASK[row].bool()
            alone, alone_state = layer(x[row : row + 1, real])
            torch.testing.assert_close(outputs[row, real], alone[0])
            assert not outputs[row, ~real].any()
            for parts, alone_parts in zip(state, alone_state, strict=True):
                torch.testing.assert_close(parts[0][row], alone_parts[0][0])


def test_steps_resume_and_gradients_reach_the_kernels() -> None:
    layer, x = stack().train(), torch.randn(2, 6, 4, 4, 3).double()
    whole, _ = layer(x)
    first, state = layer(x[:, :4])
    second, _ = layer(x[:, 4:], state=state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    state = layer.init_state(2, x)
    for step in range(6):
        y, state = layer.advance(x[:, step], state)
        torch.testing.assert_close(y, whole[:, step])
    whole.square().sum().backward()
    assert all(part.grad.abs().sum() > 0 for part in layer.parameters())


def test_a_vector_is_a_map_of_one_place() -> None:
    layer, x = stack(), torch.randn(2, 5, 3).double()
    torch.testing.assert_close(layer(x)[0], layer(x[:, :, None, None])[0][:, :, 0, 0])
    assert get_cell("conv_lstm").weight_shapes(3, 4)["weight_hh"] == (16, 4, 3, 3)
