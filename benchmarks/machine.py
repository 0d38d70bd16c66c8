"""What a benchmark ran on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "onnxruntime", "openvino", "numpy", "av")
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""The names in /proc/cpuinfo of those that decide how fast a CPU multiplies matrices, x86-64 and Arm."""
BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def instruction_sets() -> tuple[str, ...]:
    """Those of `INSTRUCTION_SETS` that the processor has; none where the system does not tell."""
    flags = _cpuinfo("flags") or _cpuinfo("Features")
    return tuple(name for name in INSTRUCTION_SETS if name in flags.split())


def has_bf16() -> bool:
    """Whether the processor multiplies in bfloat16 by itself."""
    return bool(BF16 & set(instruction_sets()))


def machine() -> dict[str, str]:
    """Processor, cores, memory and system, by what they are called in the page."""
    sets = ", ".join(instruction_sets()) or "not told by the system"
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": f"{os.cpu_count()}",
        "instruction sets": sets + ("" if has_bf16() else "; no bfloat16"),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Python and the packages that compute."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _cpuinfo(name: str) -> str:
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return ""
    lines = (line.partition(":") for line in file.read_text("utf-8").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
