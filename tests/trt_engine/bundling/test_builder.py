"""Bundles with engines, compiled for real by TensorRT-RTX, which needs no GPU for it."""

import dataclasses
import json
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from omniaudio.cli import application
from omniaudio.config import CONFIG_NAME
from omniaudio.errors import ExitCode, UserError
from omniaudio.model_zoo import registry
from omniaudio.progress import Report
from support.paths import REPOSITORY
from trt_engine.bundling.builder import ENGINES, UNFINISHED, Order, build
from trt_engine.compile import bundle as bundles
from trt_engine.compile.bundle import BUNDLE_FILE, Bundle, Engine, Stage, engine_for
from trt_engine.compile.profiles import Limits
from trt_engine.compile.targets import Flavour, Precision

trt = pytest.importorskip("tensorrt_rtx")

ARCHITECTURES = (75, 86, 89, 120)
RTX = Flavour.TENSORRT_RTX
ORDER = Order(RTX, ARCHITECTURES, Precision.FP16, Limits())


def silent(report: Report) -> None:
    """Shows nothing."""


def written(folder: Path) -> dict[str, int]:
    """Every engine file, and when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / ENGINES).glob("*.engine")}


@pytest.fixture(scope="session")
def built(model: registry.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of every stage for four architectures."""
    folder = tmp_path_factory.mktemp("bundles") / "rtx"
    build(model, folder, ORDER, silent)
    return folder


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "bundle")
    return tmp_path / "bundle"


def find(folder: Path, **other: object) -> Engine:
    wanted = {"flavour": RTX, "version": trt.__version__, "architecture": 89} | other
    return engine_for(folder, bundles.load(folder), Stage.VELOCITY, **wanted)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.VISION])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_stage_has_an_engine_for_every_card(built: Path, stage: Stage, architecture: int) -> None:
    """Read back as far as no GPU allows: what the header says of release and size. That it runs is not known here."""
    bundle = bundles.verify(built)
    found = engine_for(built, bundle, stage, flavour=RTX, version=trt.__version__, architecture=architecture)
    assert found.profile.keys() == {tensor.name for tensor in bundle.graphs[stage].inputs}
    content = (built / found.file).read_bytes()
    assert content[:4] == b"vtrt"
    assert int.from_bytes(content[16:24], "little") == len(content)
    assert ".".join(map(str, content[24:28])) == trt.__version__


@pytest.mark.slow
def test_without_a_driver_an_engine_is_not_loaded_and_nothing_is_raised(built: Path) -> None:
    runtime = trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR))
    engine = runtime.deserialize_cuda_engine((built / find(built).file).read_bytes())
    if engine is not None:  # there is a GPU after all
        assert engine.num_io_tensors == 6


@pytest.mark.slow
def test_the_usual_case_is_what_engines_are_tuned_for(built: Path) -> None:
    profile = find(built).profile
    shapes = bundles.load(built).graphs[Stage.VELOCITY].inputs[0].shape
    assert profile["x"].optimum[:2] == (2, shapes[1])
    assert profile["x"].maximum[0] == 8
    assert profile["t"].maximum == (8,)
    assert profile["x"].minimum[0] == 1


@pytest.mark.slow
def test_a_second_build_keeps_everything(copy: Path, model: registry.Model) -> None:
    before = written(copy)
    stages: list[str] = []
    _, rebuilt = build(model, copy, ORDER, lambda report: stages.append(report.stage))
    assert written(copy) == before
    assert all(one.seconds is None for one in rebuilt)
    assert set(stages) >= set(bundles.load(copy).graphs)


@pytest.mark.slow
def test_only_what_is_damaged_or_not_there_is_made(copy: Path, model: registry.Model) -> None:
    before = written(copy)
    victim = copy / find(copy).file
    victim.write_bytes(victim.read_bytes()[:-1])
    build(model, copy, ORDER, silent)
    changed = {name for name, when in written(copy).items() if before.get(name) != when}
    assert changed == {victim.name}
    assert find(copy).file == f"{ENGINES}/{victim.name}"


@pytest.mark.slow
def test_other_limits_are_another_engine(copy: Path, model: registry.Model) -> None:
    before = written(copy)
    order = dataclasses.replace(ORDER, limits=Limits(max_takes=6))
    build(model, copy, order, silent)
    assert find(copy).profile["x"].maximum[0] == 12
    changed = {name.partition(".")[0] for name, when in written(copy).items() if before[name] != when}
    assert changed == {"velocity"}


@pytest.mark.slow
def test_a_build_that_was_stopped_is_taken_up(model: registry.Model, tmp_path: Path) -> None:
    """What is raised in the middle ends it, what was finished stays, and nothing unfinished does."""

    def stop(report: Report) -> None:
        if report.stage == Stage.VELOCITY:
            raise KeyboardInterrupt

    order = dataclasses.replace(ORDER, architectures=(89,))
    with pytest.raises(KeyboardInterrupt):
        build(model, tmp_path / "bundle", order, stop)
    kept = written(tmp_path / "bundle")
    assert [name.partition(".")[0] for name in kept] == ["conditioner"]
    assert not (tmp_path / "bundle" / UNFINISHED).exists()
    _, built = build(model, tmp_path / "bundle", order, silent)
    assert [one.seconds is None for one in built] == [True, False, False, False]
    assert kept.items() <= written(tmp_path / "bundle").items()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_command_leaves_only_whole_engines(
    model: registry.Model, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "build/build_engine.py", "--model", str(model.folder), "--target", RTX, "--arch", "89"]
    command += ["-o", str(tmp_path / "bundle"), "--json"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("stage") == Stage.DECODER:
                break
        process.send_signal(number)
        began = time.monotonic()
        process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == (ExitCode.CANCELLED if number == signal.SIGTERM else -signal.SIGKILL)
    found = bundles.verify(tmp_path / "bundle")
    assert [engine.stage for engine in found.engines] == [Stage.CONDITIONER, Stage.VELOCITY]
    assert all(bundles.intact(tmp_path / "bundle", engine) for engine in found.engines)
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300)
    engines = json.loads(done.stdout.splitlines()[-1])["engines"]
    assert [engine["seconds"] is None for engine in engines] == [True, True, False, False]
    assert not (tmp_path / "bundle" / UNFINISHED).exists()


@pytest.mark.slow
def test_generating_goes_on_with_a_bundle_that_has_engines(built: Path, panorama: Path, tmp_path: Path) -> None:
    wanted = ["generate", str(panorama), "-o", str(tmp_path / "out.wav"), "--duration", "1", "--steps", "2"]
    outcome = CliRunner().invoke(
        application(), [*wanted, "--model", str(built), "--backend", "onnxruntime"], catch_exceptions=False
    )
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "out.wav").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"version": "1.6.0.1"}, r"is of TensorRT-RTX 1\.7.*and 1\.6\.0\.1 is here: run `omniaudio build"),
        ({"architecture": 121}, "is for architecture 75, 86, 89, 120, not for 121: run `omniaudio build"),
        ({"flavour": Flavour.TENSORRT}, "holds no TensorRT engine of the velocity: run .* on this machine"),
        ({"precision": Precision.BF16}, "holds no TensorRT-RTX engine of the velocity in bf16"),
    ],
)
def test_an_engine_of_something_else_is_refused_at_load(built: Path, other: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        find(built, **other)
    assert raised.value.code is ExitCode.NO_BACKEND


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "with 0 bytes instead of"),
        (lambda content: content[: len(content) // 2], "cut short"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "is not what was written"),
        (None, "is missing"),
    ],
)
def test_a_damaged_engine_is_refused_at_load(copy: Path, damage: Callable[[bytes], bytes] | None, message: str) -> None:
    path = copy / find(copy).file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=message):
        find(copy)


@pytest.mark.slow
def test_an_engine_of_another_graph_is_refused_at_load(copy: Path) -> None:
    found = bundles.load(copy)
    changed = found.graphs[Stage.VELOCITY].model_copy(update={"sha256": "0" * 64})
    other = found.model_copy(update={"graphs": found.graphs | {Stage.VELOCITY: changed}})
    with pytest.raises(UserError, match="another graph or other weights"):
        engine_for(copy, other, Stage.VELOCITY, flavour=RTX, version=trt.__version__, architecture=89)


@pytest.mark.slow
def test_a_damaged_graph_is_replaced(copy: Path, model: registry.Model) -> None:
    graph = copy / "velocity.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match="is not what was written"):
        bundles.verify(copy)
    build(model, copy, None, silent)
    assert graph.read_bytes() == content


def test_a_folder_with_another_model_is_refused(model: registry.Model, tmp_path: Path) -> None:
    (tmp_path / "model_config.json").write_text("{}")
    with pytest.raises(UserError, match="choose another folder"):
        build(model, tmp_path, None, silent)
    assert (tmp_path / "model_config.json").read_text() == "{}"


@pytest.mark.slow
def test_weights_that_are_links_are_copied_elsewhere_alone(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "other").hardlink_to(copy / "model.safetensors")
    with pytest.raises(UserError, match="choose another folder"):
        build(registry.find(str(copy)), copy, ORDER, silent)
    build(registry.find(str(copy)), tmp_path / "second", None, silent)


@pytest.mark.slow
def test_two_builds_in_one_folder(model: registry.Model, tmp_path: Path) -> None:
    def meanwhile(report: Report) -> None:
        with pytest.raises(UserError, match="Another build works in"):
            build(model, tmp_path / "bundle", None, silent)

    build(model, tmp_path / "bundle", None, meanwhile)


def test_a_place_that_cannot_be_written(model: registry.Model, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written") as raised:
        build(model, tmp_path / "file", None, silent)
    assert raised.value.code is ExitCode.NOT_WRITABLE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--target tensorrt-rtx --arch 90", "use --target tensorrt"),
        ("--target tensorrt-rtx --arch 75 86 --precision bf16", "does not compute in bf16"),
        ("--target tensorrt-rtx --arch 86 --precision fp8", "does not compute in fp8"),
        ("--target tensorrt-rtx --precision fp8 --calibrate a.png", "calibrated with the kinds"),
        ("--target tensorrt-rtx --max-seconds 0", "--max-seconds cannot be 0"),
        ("--target tensorrt-rtx --max-seconds 36000", "--max-seconds cannot be 36000"),
        ("--target tensorrt-rtx --max-seconds nan", "--max-seconds cannot be nan"),
        ("--target tensorrt-rtx --max-takes 0", "--max-takes cannot be 0"),
        ("--target tensorrt --arch 89", "GPU in this machine alone"),
        ("--target cpu --arch 89", "leave out --arch"),
    ],
)
def test_impossible_requests_are_refused_first(
    model: registry.Model, tmp_path: Path, options: str, message: str
) -> None:
    arguments = ["build", "--model", str(model.folder), "-o", str(tmp_path / "bundle"), "--json", *options.split()]
    outcome = CliRunner().invoke(application(), arguments)
    assert outcome.exit_code == ExitCode.FAILED
    assert re.search(message, json.loads(outcome.stdout)["message"])
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("options", ["--precision fp8", "--precision fp16 --calibrate a.png"])
def test_calibration_is_for_fp8_of_a_model_with_vision(tmp_path: Path, options: str) -> None:
    (tmp_path / "model").mkdir()
    shutil.copy(registry.PACKAGED / registry.RELEASED / CONFIG_NAME, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").touch()
    arguments = ["build", "--model", str(tmp_path / "model"), "-o", str(tmp_path / "bundle"), "--json"]
    outcome = CliRunner().invoke(application(), [*arguments, "--target", "tensorrt-rtx", *options.split()])
    assert "--calibrate is required for --precision fp8" in json.loads(outcome.stdout)["message"]


@pytest.fixture
def without_graphs(model: registry.Model, tmp_path: Path) -> Path:
    """A model's folder as it is before its first build."""
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder, ignore=shutil.ignore_patterns(BUNDLE_FILE, "*.onnx"))
    return folder


def refused(folder: Path) -> str:
    """The message of `omniaudio build`, which wrote no bundle."""
    arguments = ["build", "--model", str(folder), "--target", "cpu", "-o", str(folder.parent / "bundle"), "--json"]
    outcome = CliRunner().invoke(application(), arguments)
    assert outcome.exit_code == ExitCode.NO_MODEL, outcome.output
    assert not list((folder.parent / "bundle").glob("m*"))
    return str(json.loads(outcome.stdout.splitlines()[-1])["message"])


def test_missing_extra_and_misshapen_tensors_are_all_named(without_graphs: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    weights = without_graphs / "model.safetensors"
    tensors = load_file(weights)
    missing, misshapen, *_ = tensors
    del tensors[missing]
    tensors[misshapen] = torch.zeros(3, 5)
    tensors["surplus"] = torch.zeros(2)
    save_file(tensors, weights)
    message = refused(without_graphs)
    assert "3 tensors differ" in message
    for fault in (f"missing {missing}", f"misshapen {misshapen} [3, 5]", "extra surplus [2]"):
        assert fault in message


class Malicious:
    """Unpickled by anything that runs what a pickle says, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_is_not_weights_is_never_executed(without_graphs: Path) -> None:
    """In the form of torch's files, and bare."""
    torch = pytest.importorskip("torch")
    (without_graphs / "model.safetensors").unlink()
    content = {"state_dict": Malicious(without_graphs / "run")}
    torch.save(content, without_graphs / "model.ckpt")
    assert "contains more than tensors, which could run code" in refused(without_graphs)
    (without_graphs / "model.ckpt").write_bytes(pickle.dumps(content))
    assert "is not a readable weights file" in refused(without_graphs)
    assert not (without_graphs / "run").exists()


@pytest.mark.skipif(Flavour.TENSORRT.installed, reason="TensorRT is here")
def test_tensorrt_that_is_not_here_says_what_to_install(model: registry.Model, tmp_path: Path) -> None:
    order = Order(Flavour.TENSORRT, (90,), Precision.FP16, Limits())
    with pytest.raises(UserError, match="install NVIDIA's packages tensorrt and tensorrt_cu13_libs") as raised:
        build(model, tmp_path / "bundle", order, silent)
    assert raised.value.code is ExitCode.NO_BACKEND
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_turing_gets_no_float32_products(built: Path) -> None:
    """Without `turing.py` TensorRT-RTX refuses the decoder, whose products stay in float32."""
    found: Bundle = bundles.load(built)
    of_decoder = [engine.architectures for engine in found.engines if engine.stage is Stage.DECODER]
    assert sorted(of_decoder) == [(75,), (86, 89, 120)]
    assert (built / BUNDLE_FILE).is_file()
