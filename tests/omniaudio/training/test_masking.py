"""The spans that the model has to fill in."""

import pytest
import torch

from omniaudio.training.masking import SPAN, span_mask


def test_masks_the_share_that_the_paper_has() -> None:
    mask = span_mask(400, 215, 0.0, torch.Generator().manual_seed(0))
    assert mask.shape == (400, 1, 215)
    assert mask.mean() == pytest.approx(0.58, abs=0.02)


def test_everything_is_masked_as_often_as_asked() -> None:
    mask = span_mask(2000, 108, 0.25, torch.Generator().manual_seed(0))
    assert (mask.amin((1, 2)) == 1).float().mean() == pytest.approx(0.25, abs=0.03)


def test_spans_have_their_length() -> None:
    row = span_mask(1, 1000, 0.0, torch.Generator().manual_seed(3))[0, 0]
    edges = torch.diff(row, prepend=torch.zeros(1), append=torch.zeros(1))
    lengths = torch.nonzero(edges == -1)[:, 0] - torch.nonzero(edges == 1)[:, 0]
    assert lengths.min() >= SPAN
