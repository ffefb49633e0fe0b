"""What the machine can compute, known without importing torch."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
GPU_FOLDER = Path("/proc/driver/nvidia/gpus")
DEVICE_FOLDER = Path("/dev")
GPU_DEVICES = ("nvidia[0-9]*", "dxg", "kfd")
"""The device files of NVIDIA's driver, of GPUs under WSL, and of AMD's driver."""

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
AVX512_FLAGS = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
"""What PyTorch asks for before it uses its kernels for AVX-512."""
AVX2_FLAGS = frozenset({"avx2", "fma"})
APPLE_FLAGS = {"hw.optional.arm.FEAT_BF16": "bf16", "hw.optional.arm.FEAT_I8MM": "i8mm"}


@cache
def cpu_flags() -> frozenset[str]:
    """The instruction sets of the first core, by Linux's names; empty where they are unknown."""
    for key in ("flags", "Features"):
        if found := _value(CPU_INFO, key):
            return frozenset(found.split())
    return _apple_flags() if platform.system() == "Darwin" else frozenset()


def cpu_class() -> str:
    """The kind of CPU that decides which kernels run, for example "x86_64 avx512 bf16".

    Architecture, widest vectors (`avx512`, `avx2` or `sve`), then `amx` and `bf16` where the CPU
    multiplies matrices in them. CPUs of one class need not agree bit by bit.
    """
    flags = cpu_flags()
    words = [platform.machine().lower()]
    if flags >= AVX512_FLAGS:
        words.append("avx512")
    elif flags >= AVX2_FLAGS:
        words.append("avx2")
    elif "sve" in flags:
        words.append("sve")
    words += ["amx"] if "amx_tile" in flags else []
    words += ["bf16"] if cpu_has_bf16() else []
    return " ".join(words)


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 matrices in hardware."""
    return bool(cpu_flags() & BF16_FLAGS)


def cpu_model() -> str:
    """The CPU's name as its maker gives it, or "unknown"."""
    return _value(CPU_INFO, "model name") or platform.processor() or "unknown"


def num_cores() -> int:
    """How many logical cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether a GPU may be used: its driver is there and `CUDA_VISIBLE_DEVICES` hides not all.

    True does not promise that the installed torch can use it.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.split(",")[0].strip() in ("", "-1"):
        return False
    if GPU_FOLDER.is_dir() and any(GPU_FOLDER.iterdir()):
        return True
    return any(True for name in GPU_DEVICES for _ in DEVICE_FOLDER.glob(name))


def gpu_model() -> str | None:
    """The name of the first NVIDIA GPU if one may be used, or None where it is unknown."""
    if not has_gpu() or not GPU_FOLDER.is_dir():
        return None
    found = (_value(folder / "information", "Model") for folder in sorted(GPU_FOLDER.iterdir()))
    return next(filter(None, found), None)


def _value(file: Path, key: str) -> str:
    """What stands behind a key in one of the kernel's tables; the first, or an empty string."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        name, separator, value = line.partition(":")
        if separator and name.strip() == key:
            return value.strip()
    return ""


def _apple_flags() -> frozenset[str]:
    found = set()
    for name, flag in APPLE_FLAGS.items():
        try:
            asked = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True)
        except OSError:
            return frozenset()
        if asked.stdout.strip() == "1":
            found.add(flag)
    return frozenset(found)
