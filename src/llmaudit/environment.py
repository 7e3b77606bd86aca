"""The machine and the software that a run took place on."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

__all__ = ["describe", "free_gpu_memory", "gpus", "mask_secrets", "processor"]

_PACKAGES = (
    *("llmaudit", "torch", "transformers", "tokenizers", "accelerate", "bitsandbytes", "numpy", "scipy"),
    *("statsmodels", "pandas", "vaderSentiment", "pytest", "pytest-xdist"),
)
# What a key or a password follows: a known beginning, a name that says so, or a user's name in an address.
_SECRET = re.compile(
    r"(?i)(\bhf_|\bsk-|(?:key|token|password|secret)[=:]|--[\w-]*(?:key|token|password|secret)\s+(?=[^\s-])"
    r"|://(?=[^/\s]*@))[^\s@]+"
)


def describe(arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Hardware, versions, command line and the git commit of `folder`: plain data for run.json."""
    return {
        "command_line": mask_secrets(" ".join(["pytest", *arguments])),
        "git_commit": _git(folder, "rev-parse", "HEAD"),
        "git_changes": bool(_git(folder, "status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "processor": processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": gpus(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def gpus() -> list[dict[str, Any]]:
    """Name and memory of every accelerator that torch can use; empty where there is none or torch was never loaded."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return [{"name": device.name, "memory_gib": round(device.total_memory / 2**30, 1)} for device in found]


def free_gpu_memory(number: int) -> float:
    """Free memory of an accelerator in GiB."""
    import torch  # noqa: PLC0415 - heavy

    free, _ = torch.cuda.mem_get_info(number)
    return float(free / 2**30)


@cache
def processor() -> str:
    """The processor's name, as the system knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def mask_secrets(text: str) -> str:
    """Replace what looks like a key or a token, so that no report carries one."""
    return _SECRET.sub(lambda match: f"{match.group(1)}***", text)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [git, "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
