"""MetaCLIP-H14 (arXiv 2309.16671) in torch: 1024 features of a view.

`transformers` computes it, from the files in the user's folder of models; nothing is fetched here.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from omniaudio.errors import ExitCode, UserError, installation
from omniaudio.vision.metaclip import ENCODER

# CLIP's normalisation of RGB in 0..1 (arXiv 2103.00020, in the code released with it).
MEAN = (0.48145466, 0.4578275, 0.40821073)
STDEV = (0.26862954, 0.26130258, 0.27577711)


class MetaClip(nn.Module):
    """Maps views to CLIP's projected image features, not normalised to unit length, as in the released code."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.mean: Tensor
        self.stdev: Tensor
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("stdev", torch.tensor(STDEV)[:, None, None])

    def forward(self, views: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the features of each view.

        Args:
            views: `video_360`, whole panoramas padded square, and `video_fov`, front views; each uint8 RGB
                (batch, 224, 224, 3).

        Returns:
            Features by the same names, float32 (batch, 1024).
        """
        return {name: self._features(views[name]) for name in ENCODER.views}

    def _features(self, view: Tensor) -> Tensor:
        normalised = (view.float().permute(0, 3, 1, 2) / 255 - self.mean) / self.stdev
        features: Tensor = self.encoder(pixel_values=normalised).image_embeds
        return features


def load_metaclip(folder: Path) -> MetaClip:
    """Load MetaCLIP's vision encoder from a folder with `config.json` and weights, in float32 and evaluation mode.

    Raises:
        UserError: the files are missing, damaged or incomplete, or `transformers` is not installed.
    """
    try:
        import transformers  # noqa: PLC0415 - the draft does without it
    except ImportError as error:
        message = f"MetaCLIP needs transformers: run {installation('released')}."
        raise UserError(message, ExitCode.NO_BACKEND) from error
    # Otherwise it reports every unused tensor of the checkpoint's text encoder.
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        config: Any = transformers.CLIPConfig.from_pretrained(folder, local_files_only=True)
        # The projection's width is in CLIP's own config; the vision config may lack it.
        config.vision_config.projection_dim = config.projection_dim
        loaded: Any = transformers.CLIPVisionModelWithProjection.from_pretrained(
            folder, config=config.vision_config, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        message = f"MetaCLIP cannot be read from {folder}: run `omniaudio models download omniaudio`."
        raise UserError(message, ExitCode.NO_MODEL) from error
    encoder, report = loaded
    # Missing tensors would be initialised at random.
    if report["missing_keys"] or report["mismatched_keys"]:
        absent = ", ".join(sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])))
        raise UserError(f"The MetaCLIP weights in {folder} lack {absent}; download them again.", ExitCode.NO_MODEL)
    return MetaClip(encoder).eval()
