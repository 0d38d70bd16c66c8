from pathlib import Path

import pytest

from omniaudio.config import Vision, load_config, parse_config
from omniaudio.errors import UserError
from omniaudio.model_zoo.registry import PACKAGED
from support.small_model import CONFIG, changed, config


def test_released_config_says_what_the_released_model_does() -> None:
    released = load_config(PACKAGED / "omniaudio")
    assert (released.sample_rate, released.duration) == (44100, 10.0)
    assert (released.latent_channels, released.samples_per_latent, released.latent_frames) == (64, 2048, 215)
    assert released.omniaudio.prediction == "velocity"
    assert released.omniaudio.guidance_drops == ("add",)
    assert released.omniaudio.vision == Vision()
    assert (released.omniaudio.frame_rate, released.omniaudio.steps, released.omniaudio.guidance) == (8.0, 24, 3.0)


def test_native_length_is_in_whole_tokens() -> None:
    assert config().latent_frames == 43
    assert config(patch_size=4).latent_frames == 40


def test_sections_that_do_not_build_the_model_are_ignored() -> None:
    assert parse_config({**CONFIG, "training": {"use_ema": True}}, "it") == parse_config(CONFIG, "it")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model.pretransform.type", "dac", "'autoencoder', 'spectral'"),
        ("model.diffusion.type", "unet", "'dit'"),
        ("model.diffusion.diffusion_objective", "v", "'rectified_flow'"),
        ("model.diffusion.config.transformer_type", "x-transformers", "'continuous_transformer'"),
        ("model.diffusion.config.use_conv", True, "model.diffusion.config.use_conv"),
        ("model.diffusion.config.num_heads", 3, "64 is not a multiple of num_heads 3"),
        ("model.diffusion.add_cond_ids", ["text"], "'text'"),
        ("model.diffusion.cross_attn_cond_ids", ["video_fov"], "cross_attn_cond_ids"),
        ("model.io_channels", 16, "latent channels: 8, 16, 8"),
        ("model.pretransform.config.downsampling_ratio", 500, "do not multiply to downsampling_ratio 500"),
        ("model.pretransform.config.latent_dim", 4, "latent_dim 4"),
        ("model.pretransform.config.decoder.config.final_tanh", True, "final_tanh"),
        ("omniaudio.vision", {"type": "dino"}, "'metaclip', 'none'"),
        ("omniaudio.guidence", 2.0, "omniaudio.guidence"),
        ("omniaudio.steps", 0, "omniaudio.steps"),
        ("audio_channels", 2, "audio_channels"),
    ],
)
def test_what_would_build_another_model_is_refused_by_name(path: str, value: object, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_config(changed(path, value), "the config")
    assert said in caught.value.message
    assert caught.value.message.startswith("the config ")


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no readable model config"):
        load_config(tmp_path)
    (tmp_path / "model_config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        load_config(tmp_path)
    (tmp_path / "model_config.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(UserError, match="is not JSON"):
        load_config(tmp_path)
