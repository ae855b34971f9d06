"""Losses: the output layer and its cross entropy as one function, without a matrix of all logits; CTC."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -100
ROWS = 128
"""Tokens at a time: their logits stay in the cache of a CPU. On other devices the chunk is 32 times larger."""


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """The summed cross entropy of softmax(W h + b) against the labels.

    Equal to `F.cross_entropy(F.linear(hidden, weight, bias), labels, reduction="sum", ...)`, but logits exist for a few
    tokens at a time, and their gradient is formed where they stand, so that a CPU spends its time on the three matrix
    products. `F.linear_cross_entropy` of torch 2.13 materializes the logits' gradient and takes about twice as long.

    Args:
        hidden: (..., D).
        weight: (V, D); bias: (V,) or None.
        labels: (...), -100 where ignored.
        label_smoothing: the weight of the uniform distribution in the target.

    Returns:
        a scalar in at least float32, 0 without any real label.
    """
    real = labels != IGNORED
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
    return _LinearCrossEntropy.apply(hidden[real], weight, bias, labels[real], label_smoothing)


def sampled_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, num_samples: int
) -> Tensor:
    """An estimate of `linear_cross_entropy` from the classes of the labels and some others (Bengio & Senécal 2003).

    The classes that occur among the labels count once, `num_samples` of the others, drawn evenly without replacement,
    stand for all the rest: the normalizer's expectation is exact, and its variance small, since the frequent classes
    are among the labels. With as many samples as there are classes the value is exact.

    Args:
        hidden, weight, bias, labels: as in `linear_cross_entropy`.
        num_samples: so many classes besides those of the labels.
    """
    real = labels != IGNORED
    found, targets = labels[real].unique(return_inverse=True)
    others = torch.ones(len(weight), dtype=torch.bool, device=weight.device).index_fill(0, found, False).nonzero()[:, 0]
    drawn = others[torch.randperm(len(others), device=others.device)[:num_samples]]
    classes = torch.cat([found, drawn])
    stands_for = weight.new_zeros(len(classes))
    if len(drawn):
        stands_for[len(found) :] = math.log(len(others) / len(drawn))
    bias = stands_for if bias is None else bias[classes] + stands_for
    return linear_cross_entropy(hidden[real], weight[classes], bias, targets)


def ctc_loss(log_probabilities: Tensor, mask: Tensor, labels: Tensor, blank: int) -> Tensor:
    """The summed negative log-likelihood of texts, each summed over its alignments (Graves et al. 2006).

    Args:
        log_probabilities: (B, T, V), of each step.
        mask: (B, T), 1 at real steps, which stand first.
        labels: (B, L), -100 where ignored. A text that is too long for its steps counts 0.
        blank: the token that means none.
    """
    real = labels != IGNORED
    return F.ctc_loss(
        log_probabilities.transpose(0, 1),
        labels[real],
        mask.sum(dim=1),
        real.sum(dim=1),
        blank=blank,
        reduction="sum",
        zero_infinity=True,
    )


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are computed on the way forward; the way back scales them."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        train = any(ctx.needs_input_grad[:3])
        exact = torch.promote_types(hidden.dtype, torch.float32)
        grad_hidden = torch.zeros_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=exact) if train else None
        grad_bias = torch.zeros_like(bias, dtype=exact) if train else None
        loss = hidden.new_zeros((), dtype=exact)
        rows = ROWS if hidden.device.type == "cpu" else 32 * ROWS
        for start in range(0, len(hidden), rows):
            inputs, targets = hidden[start : start + rows], labels[start : start + rows, None]
            logits = F.linear(inputs, weight, bias).to(exact)
            normalizer = torch.logsumexp(logits, dim=1, keepdim=True)
            loss += (normalizer - (1 - smoothing) * logits.gather(1, targets)).sum()
            if smoothing:
                loss -= smoothing * logits.mean(dim=1).sum()
            if not train:
                continue
            grad = logits.sub_(normalizer).exp_()
            if smoothing:
                grad.sub_(smoothing / weight.shape[0])
            grad.scatter_add_(1, targets, grad.new_full(targets.shape, smoothing - 1))
            grad_bias += grad.sum(dim=0)
            grad = grad.to(inputs.dtype)
            grad_hidden[start : start + rows] = grad @ weight
            if grad_weight.dtype == grad.dtype and not torch.is_autocast_enabled(grad.device.type):
                grad_weight.addmm_(grad.T, inputs)
            else:
                grad_weight += grad.T @ inputs
        if train:
            ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *(saved * grad.to(saved.dtype) for saved in ctx.saved_tensors), None, None
