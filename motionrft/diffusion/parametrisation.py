"""What a denoising network predicts, and what that says of the clean motion: every conversion is here.

At signal level alpha and noise level sigma a state is `x = alpha x0 + sigma noise`. The networks predict

- `eps`: the noise;
- `x0`: the clean motion;
- `v`: alpha noise - sigma x0 (Salimans and Ho 2022);
- `flow`: x0 - noise, on the straight path alpha = t, sigma = 1 - t (Lipman et al. 2023; here t = 1 is data).
"""

from typing import Literal

from torch import Tensor

Parametrisation = Literal["eps", "x0", "v", "flow"]


def clean_coefficients(kind: Parametrisation, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(p, q), each like `alpha`, with x0 = p x + q prediction."""
    if kind == "eps":
        return 1 / alpha, -sigma / alpha  # (S,) each, as in every case
    if kind == "x0":
        return alpha * 0, alpha * 0 + 1
    if kind == "v":
        return alpha, -sigma
    return alpha * 0 + 1, sigma


def training_target(kind: Parametrisation, x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """What the network should answer for the state alpha x0 + sigma noise (B, ...); levels broadcast against it."""
    if kind == "eps":
        return noise
    if kind == "x0":
        return x0
    if kind == "v":
        return alpha * noise - sigma * x0
    return x0 - noise


def predicted_noise(x: Tensor, x0: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The noise that `x` holds if `x0` is its clean part; sigma must not be 0."""
    return (x - alpha * x0) / sigma  # (B, ...)
