"""What a device can do at best, measured on it, and the least that a computation has to do."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

REPEATS = 10


@dataclass(frozen=True)
class Ceilings:
    """Speeds of one device: FLOP/s of large matrix products by their type, and bytes/s of its memory."""

    flops: dict[torch.dtype, float]
    bandwidth: float

    def least_seconds(self, flop: float, moved: float, dtype: torch.dtype) -> float:
        """Below this no program goes: all arithmetic at full speed, or every byte moved once, whichever takes longer.

        float32 products count at the speed of their own.
        """
        return max(flop / self.flops[dtype], moved / self.bandwidth)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(compute: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds until the device is done."""
    synchronize(device)
    began = time.perf_counter()
    compute()
    synchronize(device)
    return time.perf_counter() - began


def measure_ceilings(device: torch.device, size: int, megabytes: int) -> Ceilings:
    """Multiplies random square matrices of `size` in float32 and bfloat16, and copies so many megabytes."""
    flops = {}
    for dtype in (torch.float32, torch.bfloat16):
        one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        product = torch.empty_like(one)
        flops[dtype] = 2 * size**3 / _best(lambda: torch.mm(one, other, out=product), device)  # noqa: B023
    source = torch.randint(0, 256, (megabytes * 1_000_000,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    # Each byte is read and written.
    return Ceilings(flops, 2 * source.numel() / _best(lambda: target.copy_(source), device))


def _best(compute: Callable[[], object], device: torch.device) -> float:
    for _ in range(3):
        compute()
    return min(seconds(compute, device) for _ in range(REPEATS))


def count_flop(compute: Callable[[], object]) -> int:
    """Floating-point operations of the products, convolutions and attention in what is called."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())
