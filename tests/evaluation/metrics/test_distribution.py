"""FID, Diversity, MultiModality: closed forms of Gaussians and plain references."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.testing import assert_close

from motionrft.evaluation.metrics import Gaussian, diversity, draw_pairs, frechet_distance, multimodality


def _normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_fid_of_diagonal_gaussians_has_a_closed_form():
    a = Gaussian(torch.zeros(3).double(), torch.diag(torch.tensor([1.0, 2.0, 0.0])).double(), 9)
    b = Gaussian(
        torch.tensor([1.0, 0.0, 2.0]).double(), torch.diag(torch.tensor([3.0, 2.0, 1.0])).double(), 9
    )
    assert_close(frechet_distance(a, b).item(), 5.0 + (1 - 3) ** 2 + 0.0 + 1.0)


@pytest.mark.parametrize("count", [400, 40])
def test_fid_equals_the_usual_matrix_root(count):
    a, b = _normal(0, count, 24), 1.3 * _normal(1, count, 24) @ _normal(2, 24, 24) / 5 + 0.2
    first, second = a.double().numpy(), b.double().numpy()
    c1, c2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(c1 @ c2).real
    mean = np.square(first.mean(0) - second.mean(0)).sum()
    assert_close(
        frechet_distance(Gaussian.fit(a), Gaussian.fit(b)).item(), mean + np.trace(c1 + c2 - 2 * root)
    )


def test_fid_is_symmetric_zero_for_itself_and_blind_to_rotation():
    a, b = _normal(0, 60, 90), _normal(1, 70, 90)
    turn = torch.linalg.qr(_normal(2, 90, 90).double())[0]
    fit = [Gaussian.fit(x) for x in (a, b, a.double() @ turn, b.double() @ turn)]
    assert abs(frechet_distance(fit[0], fit[0]).item()) < 1e-9
    assert_close(frechet_distance(fit[0], fit[1]), frechet_distance(fit[1], fit[0]))
    assert_close(frechet_distance(fit[0], fit[1]), frechet_distance(fit[2], fit[3]))


def test_small_sets_are_flagged():
    assert not Gaussian.fit(_normal(0, 50, 8)).singular and Gaussian.fit(_normal(0, 8, 8)).singular


def test_pairs_are_drawn_without_replacement():
    first, second = draw_pairs(50, 20, torch.Generator().manual_seed(0))
    assert len(first.unique()) == len(second.unique()) == 20 and not torch.equal(first, second)


def test_diversity_and_multimodality_equal_plain_loops():
    x = _normal(0, 4, 6, 5)
    first, second = torch.tensor([0, 2, 5]), torch.tensor([1, 4, 5])
    plain = [(x[0, i] - x[0, j]).norm().item() for i, j in zip(first, second, strict=True)]
    assert_close(diversity(x[0], first, second).item(), sum(plain) / 3, rtol=1e-6, atol=0)
    each = torch.stack([diversity(row, first, second) for row in x])
    assert_close(multimodality(x, first, second), each.mean())
