"""The short-time Fourier transform as matrix products.

An inference graph must run on every back-end, and TensorRT has no Fourier operator. A real transform of N = N1·N2
points in two stages (Cooley & Tukey 1965) is two small matrix products and a twiddle: about ten times less arithmetic
than one N × N product, and as fast as a library FFT at the sizes used here.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OVERLAP = 4  # frames that cover a sample: hop = size / 4


class ShortTimeFourier(nn.Module):
    """STFT with a periodic Hann window of `size` samples and a hop of size / 4.

    Frame t is centred on hop block t: a signal of n·hop samples has exactly n frames. Spectra are pairs of real
    tensors (real, imaginary), each (batch, frames, size / 2 + 1), scaled so that a sine of amplitude 1 on a bin has
    magnitude 1.
    """

    window: Tensor
    synthesis_window: Tensor
    forward_first: Tensor
    forward_second: Tensor
    inverse_first: Tensor
    inverse_second: Tensor
    twiddle_real: Tensor
    twiddle_imaginary: Tensor
    bin_weight: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.hop = size // OVERLAP
        self.bins = size // 2 + 1
        self.inner = 2 ** (int(math.log2(size)) // 2)  # N1
        self.outer = size // self.inner  # N2
        self.half_outer = self.outer // 2 + 1  # values of k2 that reach the bins 0 … N/2
        with torch.device("cpu"):  # constants, allocated even if the model is built on the meta device
            self._build_constants()

    def _build_constants(self) -> None:
        size = self.size
        window = torch.hann_window(size, periodic=True, dtype=torch.float64)
        self._constant("window", window)
        self._constant("synthesis_window", window / (window.square().sum() / self.hop))
        self._build_forward(2.0 / window.sum().item())
        self._build_inverse(window.sum().item() / 2.0)

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.float(), persistent=False)

    def _angles(self, rows: int, columns: int, period: int) -> Tensor:
        product = torch.outer(torch.arange(rows), torch.arange(columns)) % period
        return 2 * math.pi * product.double() / period

    def _build_forward(self, scale: float) -> None:
        # n = N2·n1 + n2, k = k1 + N1·k2
        first = self._angles(self.inner, self.inner, self.inner)
        self._constant("forward_first", torch.cat([first.cos(), -first.sin()], dim=0) * scale)
        twiddle = self._angles(self.inner, self.outer, self.size)
        self._constant("twiddle_real", twiddle.cos())
        self._constant("twiddle_imaginary", twiddle.sin())
        second = self._angles(self.outer, self.half_outer, self.outer)
        cos, sin = second.cos(), second.sin()
        self._constant("forward_second", torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)], 0))

    def _build_inverse(self, scale: float) -> None:
        first = self._angles(self.half_outer, self.outer, self.outer)
        cos, sin = first.cos(), first.sin()
        self._constant("inverse_first", torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)], 0))
        second = self._angles(self.inner, self.inner, self.inner)
        self._constant("inverse_second", torch.cat([second.cos(), -second.sin()], dim=1))
        both_sides = torch.full((self.bins,), 2.0, dtype=torch.float64)
        both_sides[0] = both_sides[-1] = 1.0
        self._constant("bin_weight", both_sides * scale / self.size)

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames·hop) → real and imaginary part, each (batch, frames, bins)."""
        edge = (self.size - self.hop) // 2
        blocks = F.pad(signal, (edge, edge)).unflatten(1, (-1, self.hop))
        count = blocks.shape[1] - OVERLAP + 1
        frames = torch.cat([blocks[:, shift : shift + count] for shift in range(OVERLAP)], dim=2) * self.window
        return self._real_transform(frames)

    def inverse(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """The least-squares inverse (Griffin & Lim 1984), (batch, frames, bins) twice → (batch, frames·hop). The
        first and last three quarters of a window fade, where fewer than four frames overlap."""
        frames = self._inverse_transform(real, imaginary) * self.synthesis_window
        segments = frames.unflatten(2, (OVERLAP, self.hop))
        signal = F.pad(segments[:, :, 0], (0, 0, 0, OVERLAP - 1))
        for shift in range(1, OVERLAP):
            signal = signal + F.pad(segments[:, :, shift], (0, 0, shift, OVERLAP - 1 - shift))
        edge = (self.size - self.hop) // 2
        return signal.flatten(1)[:, edge:-edge]

    def _real_transform(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        grid = frames.unflatten(2, (self.inner, self.outer))  # (…, n1, n2)
        first = self.forward_first @ grid  # (…, 2·k1, n2)
        real, imaginary = first[..., : self.inner, :], first[..., self.inner :, :]
        rotated_real = real * self.twiddle_real + imaginary * self.twiddle_imaginary
        rotated_imaginary = imaginary * self.twiddle_real - real * self.twiddle_imaginary
        second = torch.cat([rotated_real, rotated_imaginary], dim=-1) @ self.forward_second  # (…, k1, 2·k2)
        spectrum_real = second[..., : self.half_outer].transpose(-1, -2).flatten(-2)
        spectrum_imaginary = second[..., self.half_outer :].transpose(-1, -2).flatten(-2)
        return spectrum_real[..., : self.bins], spectrum_imaginary[..., : self.bins]

    def _inverse_transform(self, real: Tensor, imaginary: Tensor) -> Tensor:
        first = (
            torch.cat([self._bin_grid(real), self._bin_grid(imaginary)], dim=-1) @ self.inverse_first
        )  # (…, k1, 2·n2)
        first_real, first_imaginary = first[..., : self.outer], first[..., self.outer :]
        rotated_real = first_real * self.twiddle_real - first_imaginary * self.twiddle_imaginary
        rotated_imaginary = first_imaginary * self.twiddle_real + first_real * self.twiddle_imaginary
        grid = self.inverse_second @ torch.cat([rotated_real, rotated_imaginary], dim=-2)  # (…, n1, n2)
        return grid.flatten(-2)

    def _bin_grid(self, part: Tensor) -> Tensor:
        """(batch, frames, bins) → (batch, frames, k1, k2), weighted for both sides of the spectrum."""
        missing = self.inner * self.half_outer - self.bins
        padded = F.pad(part * self.bin_weight, (0, missing))
        grid: Tensor = padded.unflatten(2, (self.half_outer, self.inner)).transpose(-1, -2)
        return grid
