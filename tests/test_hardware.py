import subprocess
import sys

import pytest
import torch

from trivium import hardware

ZEN_5 = "fpu fma avx avx2 avx512f avx512dq avx512bw avx512vl avx512_bf16"
SAPPHIRE_RAPIDS = f"{ZEN_5} amx_bf16 amx_tile amx_int8"
SKYLAKE = "fpu fma avx avx2 avx512f avx512dq avx512bw avx512vl"
KNIGHTS_LANDING = "fpu fma avx avx2 avx512f avx512cd avx512er"
GRAVITON_3 = "fp asimd sve i8mm bf16"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(hardware, "GPU_FOLDER", tmp_path / "gpus")
    monkeypatch.setattr(hardware, "DEVICE_FOLDER", tmp_path / "dev")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    hardware.cpu_flags.cache_clear()
    yield tmp_path
    hardware.cpu_flags.cache_clear()


@pytest.mark.parametrize(
    ("architecture", "key", "flags", "expected"),
    [
        ("x86_64", "flags", ZEN_5, "x86_64 avx512 bf16"),
        ("x86_64", "flags", SAPPHIRE_RAPIDS, "x86_64 avx512 amx bf16"),
        ("x86_64", "flags", SKYLAKE, "x86_64 avx512"),
        ("x86_64", "flags", KNIGHTS_LANDING, "x86_64 avx2"),
        ("x86_64", "flags", "fpu sse2 avx avx2 fma", "x86_64 avx2"),
        ("x86_64", "flags", "fpu sse2", "x86_64"),
        ("aarch64", "Features", GRAVITON_3, "aarch64 sve bf16"),
        ("aarch64", "Features", "fp asimd", "aarch64"),
    ],
)
def test_the_class_follows_from_the_flags(machine, monkeypatch, architecture, key, flags, expected):
    monkeypatch.setattr(hardware.platform, "machine", lambda: architecture)
    table = f"processor\t: 0\nmodel name\t: A: CPU\n{key}\t\t: {flags}\n\nprocessor\t: 1\n"
    hardware.CPU_INFO.write_text(table)
    assert hardware.cpu_class() == expected
    assert hardware.cpu_has_bf16() == expected.endswith("bf16")
    assert hardware.cpu_flags() == set(flags.split())
    assert hardware.cpu_model() == "A: CPU"


def test_without_the_kernels_table_nothing_is_promised(machine, monkeypatch):
    monkeypatch.setattr(hardware.platform, "system", lambda: "Windows")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "AMD64")
    assert hardware.cpu_flags() == frozenset()
    assert hardware.cpu_class() == "amd64"
    assert not hardware.cpu_has_bf16()


def test_apples_system_tells_its_flags(machine, monkeypatch):
    def sysctl(command, **_):
        answer = "1\n" if command[-1].endswith("FEAT_BF16") else "0\n"
        return subprocess.CompletedProcess(command, 0, stdout=answer)

    monkeypatch.setattr(hardware.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(hardware.subprocess, "run", sysctl)
    assert hardware.cpu_class() == "arm64 bf16"


def test_torch_sees_the_same_cpu():
    capabilities = torch.cpu.get_capabilities()
    has_bf16 = any(capabilities.get(one, False) for one in ("avx512_bf16", "amx_bf16", "bf16"))
    assert hardware.cpu_has_bf16() == has_bf16
    for ours, theirs in {"avx2": "avx2", "avx512f": "avx512_f", "amx_tile": "amx_tile"}.items():
        assert (ours in hardware.cpu_flags()) == bool(capabilities.get(theirs, False))


def test_kernels_and_class_agree_about_the_vectors():
    kernels = torch.backends.cpu.get_cpu_capability()
    if kernels in ("AVX2", "AVX512"):
        assert kernels.lower() in hardware.cpu_class().split()


def test_a_gpu_is_seen_by_its_driver_and_can_be_hidden(machine, monkeypatch):
    assert not hardware.has_gpu()
    assert hardware.gpu_model() is None
    (machine / "dev").mkdir()
    (machine / "dev" / "nvidiactl").touch()
    assert not hardware.has_gpu()
    (machine / "dev" / "nvidia3").touch()
    assert hardware.has_gpu()
    card = machine / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA H200\nIRQ: 1\n")
    assert hardware.gpu_model() == "NVIDIA H200"
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not hardware.has_gpu()
        assert hardware.gpu_model() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert hardware.has_gpu()


def test_a_machine_is_known_without_torch():
    code = (
        "import sys; from trivium.tracking.environment import environment; environment(); "
        "sys.exit(str({'torch', 'mlflow', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "set()"
