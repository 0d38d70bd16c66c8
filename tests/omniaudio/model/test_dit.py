import numpy as np
import pytest
import torch

from omniaudio.model.dit import DiffusionTransformer, RotaryEmbedding, rotate
from support.small_model import config, numbers


def _transformer(**diffusion: object) -> DiffusionTransformer:
    dit = DiffusionTransformer(config(**diffusion).model.diffusion.config).eval()
    state = {name: numbers(name, tuple(tensor.shape), 0.2) for name, tensor in dit.state_dict().items()}
    dit.load_state_dict(state)
    return dit


def test_unused_cross_attention_is_never_computed() -> None:
    dit = _transformer()
    x, t = numbers("x", (1, 8, 6)), torch.tensor([0.4])
    with torch.inference_mode():
        before = dit(x, t, {})
        unused = [name for name, _ in dit.named_parameters() if "cross_att" in name or "to_cond_embed" in name]
        assert len(unused) == 2 * 4 + 2
        for name in unused:
            dit.get_parameter(name).fill_(torch.nan)
        assert torch.equal(dit(x, t, {}), before)


def test_a_new_transformer_of_either_kind_passes_gradients() -> None:
    for kind in ("prepend", "adaLN"):
        dit = DiffusionTransformer(config(global_cond_type=kind, cond_token_dim=0).model.diffusion.config)
        with torch.no_grad():
            prediction = dit(numbers("x", (2, 8, 6)), torch.tensor([0.4, 0.9]), {"global": numbers("g", (2, 64))})
        assert prediction.isfinite().all()
        optimiser = torch.optim.AdamW(dit.parameters(), 1e-2)
        losses = []
        for _ in range(30):
            prediction = dit(numbers("x", (2, 8, 6)), torch.tensor([0.4, 0.9]), {"global": numbers("g", (2, 64))})
            loss = (prediction - numbers("z", (2, 8, 6))).square().mean()
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert losses[-1] < 0.2 * losses[0]


def test_rotary_scores_depend_on_distance_alone_and_leave_the_rest_of_the_head() -> None:
    dim, head = 16, 32
    rotary = RotaryEmbedding(dim)(20)
    q, k = (numbers(name, (1, 1, 1, head)).expand(1, 1, 20, head) for name in "qk")
    rotated_q, rotated_k = rotate(q, rotary), rotate(k, rotary)
    scores = (rotated_q @ rotated_k.transpose(-1, -2))[0, 0]
    for distance in (0, 3, -7):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-4, atol=1e-4)
    assert scores[0, 0] != pytest.approx(float(scores[0, 5]))
    assert torch.equal(rotated_q[..., dim:], q[..., dim:])


@pytest.mark.slow
def test_exported_graph_computes_the_same_at_other_lengths(tmp_path_factory: pytest.TempPathFactory) -> None:
    ort = pytest.importorskip("onnxruntime")
    dit = _transformer(patch_size=2, global_cond_type="adaLN", cond_token_dim=0)

    def inputs(batch: int, tokens: int) -> tuple[torch.Tensor, ...]:
        return (
            numbers("x", (batch, 8, 2 * tokens)),
            torch.linspace(0.1, 1, batch),
            numbers("g", (batch, 64)),
            numbers("a", (batch, tokens, 64)),
        )

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dit = dit

        def forward(self, x: torch.Tensor, t: torch.Tensor, g: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
            return self.dit(x, t, {"global": g, "add": a})

    graph = Graph().eval()
    vary = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        graph,
        inputs(2, 5),
        dynamo=True,
        dynamic_shapes=({0: vary, 2: vary}, {0: vary}, {0: vary}, {0: vary, 1: vary}),
        input_names=["x", "t", "g", "a"],
        verbose=False,
    )
    assert program is not None
    path = tmp_path_factory.mktemp("onnx") / "dit.onnx"
    program.save(str(path))
    session = ort.InferenceSession(str(path))
    for batch, tokens in ((1, 3), (3, 17)):
        given = inputs(batch, tokens)
        (computed,) = session.run(None, dict(zip("xtga", (tensor.numpy() for tensor in given), strict=True)))
        expected = graph(*given).detach().numpy()
        np.testing.assert_allclose(computed, expected, atol=1e-4 * np.abs(expected).max())
