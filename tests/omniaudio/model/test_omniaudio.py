import torch

from omniaudio.model.omniaudio import OmniAudio
from support.small_model import config, numbers
from support.stem_model import stem_config


def _filled(model: OmniAudio) -> OmniAudio:
    state = {name: numbers(name, tuple(tensor.shape), 0.2) for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()


FEATURES = {name: numbers(name, (2, 5, 24)) for name in ("video_360", "video_fov")}


@torch.inference_mode()
def test_conditions_have_the_shapes_that_the_transformer_takes() -> None:
    for patch_size in (1, 2):
        model = _filled(OmniAudio(config(patch_size=patch_size)))
        conditions = model.conditions(FEATURES, 12)
        assert {name: tuple(value.shape) for name, value in conditions.items()} == {
            "global": (2, 64),
            "add": (2, 12 // patch_size, 64),
        }
        assert model.velocity(numbers("x", (2, 8, 12)), torch.tensor([1.0, 0.5]), conditions).shape == (2, 8, 12)


@torch.inference_mode()
def test_the_panorama_feature_does_not_depend_on_the_order_of_frames_and_the_front_view_does() -> None:
    model = _filled(OmniAudio(config()))
    forward = model.conditions(FEATURES, 12)
    backward = model.conditions({name: value.flip(1) for name, value in FEATURES.items()}, 12)
    torch.testing.assert_close(backward["global"], forward["global"])
    torch.testing.assert_close(backward["add"], forward["add"].flip(1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(forward["add"], backward["add"], atol=1e-2)


@torch.inference_mode()
def test_a_model_that_predicts_data_points_from_the_prediction_to_where_it_is() -> None:
    model = _filled(OmniAudio(stem_config()))
    assert model.skip is not None
    model.skip.variance.abs_()
    x, t = numbers("x", (2, 16, 6)), torch.tensor([0.25, 1.0])
    # Going on with this velocity from t to 0 ends at the prediction.
    end = x - t[:, None, None] * model.velocity(x, t, {})
    torch.testing.assert_close(end, model.skip(x, t, model.dit(x, t, {})), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_sound_and_latents_have_the_length_that_the_config_says() -> None:
    model = _filled(OmniAudio(config()))
    assert model.encode(numbers("foa", (1, 4, 5120))).shape == (1, 8, 10)
    assert model.decode(numbers("latents", (1, 8, 10))).shape == (1, 4, 5120)
