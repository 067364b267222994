"""The training precision for `trainer.precision: auto`."""

import yaml
from pytorch_lightning.accelerators import CUDAAccelerator, MPSAccelerator

from s2s.nn.kernels import bfloat16_is_fast
from s2s.nn.packed import multiplies_bfloat16
from s2s.untrusted import parse_yaml

PRECISION = "trainer.precision"
AUTO = "auto"
FLOAT32 = "32-true"
BFLOAT16 = "bf16-mixed"
_NARROW = (BFLOAT16, "bf16")


def precision_here(accelerator: object) -> str:
    """What `trainer.precision: auto` means on this machine.

    Args:
        accelerator: `trainer.accelerator`; as by Lightning, "auto" is a GPU where there is one.
    """
    if accelerator in ("auto", "gpu", "cuda") and CUDAAccelerator.is_available():
        return BFLOAT16  # not checked: querying the GPU initializes CUDA, after which Lightning cannot fork ranks
    return BFLOAT16 if _is_cpu(accelerator) and bfloat16_is_fast() else FLOAT32


def precision_to_go_on(run: str, here: str | None) -> str | None:
    """What `auto` means for a resumed run: what it meant when the run was begun.

    Args:
        run: the configuration that the run was begun with, as untrusted YAML from the checkpoint.
        here: what `auto` means on this machine.
    """
    try:
        begun = parse_yaml(run)
        then = begun["trainer"]["precision"]
    except (ValueError, TypeError, KeyError, yaml.YAMLError):
        return here  # whether the run may be resumed so is checked elsewhere
    return then if then in (None, FLOAT32, BFLOAT16) else here


def slow_precision(precision: object, accelerator: object) -> str | None:
    """A note if the configured precision is slow here, because torch has no kernels for it; else None.

    Args:
        precision: `trainer.precision`.
        accelerator: `trainer.accelerator`.
    """
    if precision not in _NARROW or not _is_cpu(accelerator) or multiplies_bfloat16():
        return None
    return (
        f"{PRECISION} {precision} is many times slower than float32 on this processor, because torch has no "
        f"bfloat16 kernels for it; faster: --{PRECISION} {FLOAT32}"
    )


def _is_cpu(accelerator: object) -> bool:
    gpu = CUDAAccelerator.is_available() or MPSAccelerator.is_available()
    return accelerator == "cpu" or (accelerator == "auto" and not gpu)
