"""MetaCLIP's wrapper, with a CLIP that is small and random: the real weights come from the Hub alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from omniaudio.errors import UserError
from omniaudio.model.metaclip import load_metaclip
from omniaudio.vision.metaclip import FEATURES, SIZE

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        vision_config={**tower, "image_size": SIZE, "patch_size": 32},
        text_config={**tower, "vocab_size": 64, "bos_token_id": 0, "eos_token_id": 1},
        projection_dim=FEATURES,
    )
    model = transformers.CLIPModel(config).eval()
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return folder, model


def test_features_are_those_of_the_released_code(clip: tuple[Path, torch.nn.Module]) -> None:
    folder, model = clip
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    processor = transformers.CLIPImageProcessorPil()
    with torch.inference_mode():
        pixels = processor(images=list(images), return_tensors="pt")["pixel_values"]
        expected = model.get_image_features(pixels).pooler_output  # type: ignore[operator]
        shown = torch.from_numpy(images)
        features = load_metaclip(folder)({"video_360": shown, "video_fov": shown.flip(0)})
    assert features["video_360"].shape == (3, FEATURES)
    torch.testing.assert_close(features["video_360"], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features["video_fov"], expected.flip(0), rtol=1e-5, atol=1e-5)


def test_weights_that_lack_a_tensor_are_refused(clip: tuple[Path, torch.nn.Module], tmp_path: Path) -> None:
    _, model = clip
    state = {name: tensor for name, tensor in model.state_dict().items() if "visual_projection" not in name}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(UserError, match="visual_projection"):
        load_metaclip(tmp_path)


def test_missing_files_are_answered_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="omniaudio models download"):
        load_metaclip(tmp_path / "nothing")
