"""torch as a back-end: it runs a model without a bundle."""

from omniaudio.errors import installation
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo.registry import Model
from trt_engine.runtime.session import describe_folder
from trt_engine.runtime.spec import BackendSpec


def _probe() -> str:
    import torch  # noqa: PLC0415 - installed or not

    from trt_engine.runtime.torch.pipeline import best_device  # noqa: PLC0415

    device = best_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


def _open(model: Model) -> Stages:
    from trt_engine.graphs.stage_modules import load_parts  # noqa: PLC0415
    from trt_engine.runtime.torch.pipeline import TorchPipeline  # noqa: PLC0415

    return TorchPipeline(describe_folder(model, BACKEND), *load_parts(model))


BACKEND = BackendSpec(
    name="torch",
    label="PyTorch",
    module="torch",
    distributions=("torch",),
    installation=installation("torch"),
    devices="NVIDIA and Apple GPUs, any processor",
    probe=_probe,
    open=_open,
)
