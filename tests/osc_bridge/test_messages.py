"""The messages of clients; every refused field is named."""

import pytest

from osc_bridge.messages import About, Ask, Generate, GenerateScene, Options, RefusedError, SceneOptions, parse
from osc_bridge.packets import Message

DEFAULT = Options.model_validate({})


def generate(*arguments):
    return parse(Message("/omniaudio/generate", arguments))


def test_a_generation_with_everything():
    verb, request = generate("take-1", "/clips/a.mp4", '{"seed": 3, "duration": 2.5, "takes": 2}', 9001)
    assert verb == "generate"
    assert request == Generate(
        request_id="take-1",
        video="/clips/a.mp4",
        options=Options.model_validate({"seed": 3, "duration": 2.5, "takes": 2}),
        reply_port=9001,
    )


def test_options_are_the_services():
    _, request = generate("take-1", "/clips/a.mp4", '{"force": true, "allow_truncated": true}')
    assert (request.options.force, request.options.allow_truncated) == (True, True)


def test_pure_data_knows_no_integers_and_may_leave_out_options():
    _, request = generate(7.0, "/clips/a.mp4", 9001.0)
    assert (request.request_id, request.reply_port, request.options) == ("7", 9001, DEFAULT)


@pytest.mark.parametrize("options", ["", " ", "{}"])
def test_empty_options_are_none(options):
    assert generate("a", "/b", options)[1].options == DEFAULT


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("a",), GenerateScene(request_id="a")),
        (("a", ""), GenerateScene(request_id="a")),
        ((7.0, 9001.0), GenerateScene(request_id="7", reply_port=9001)),
        (
            ("a", '{"frame_start": -5, "frame_end": 48, "seed": 3}', 9001),
            GenerateScene(
                request_id="a",
                options=SceneOptions.model_validate({"frame_start": -5, "frame_end": 48, "seed": 3}),
                reply_port=9001,
            ),
        ),
    ],
)
def test_a_generation_for_blenders_scene(arguments, wanted):
    assert parse(Message("/omniaudio/generate_scene", arguments)) == ("generate_scene", wanted)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ('{"frame_start": 5, "frame_end": 4}', "options: frame_end 4 lies before frame_start 5"),
        ('{"frame_start": 1.5}', "options.frame_start"),
        ('{"frame_end": 1048575}', "options.frame_end"),
        ('{"duration": 3}', "options.duration"),
    ],
)
def test_each_refused_field_of_a_scene_is_named(options, named):
    with pytest.raises(RefusedError) as caught:
        parse(Message("/omniaudio/generate_scene", ("a", options)))
    assert (caught.value.code, caught.value.request_id) == ("invalid", "a")
    assert named in caught.value.message


@pytest.mark.parametrize(("verb", "form"), [("status", About), ("cancel", About), ("ack", About)])
def test_messages_about_a_request(verb, form):
    assert parse(Message(f"/omniaudio/{verb}", ("r", 9001))) == (verb, form(request_id="r", reply_port=9001))


@pytest.mark.parametrize("verb", ["list", "version", "ping", "subscribe", "unsubscribe"])
def test_messages_about_the_bridge(verb):
    assert parse(Message(f"/omniaudio/{verb}", (9001.0,))) == (verb, Ask(reply_port=9001))


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("a", "/b", '{"seed": -1}'), "invalid", "options.seed"),
        (("a", "/b", '{"colour": 1, "steps": 0}'), "invalid", "options.colour"),
        (("a", "/b", '{"colour": 1, "steps": 0}'), "invalid", "options.steps"),
        (("a", "/b", "{'seed': 1}"), "invalid", "JSON"),
        (("a", "/b", "[" * 100_000), "invalid", "JSON"),
        (("a", "/b", "3"), "invalid", "options"),
        (("a", "/b", '{"duration": NaN}'), "invalid", "options.duration"),
        (("a", "/b", '{"guidance": NaN}'), "invalid", "options.guidance"),
        (("a", "/b", '{"guidance": Infinity}'), "invalid", "options.guidance"),
        (("a", "/bad\udcff.mp4"), "invalid", "video"),
        (("a", "/b", "{}", 70000), "invalid", "reply_port"),
        (("a", "/b", "{}", 9001.5), "invalid", "reply_port"),
        (("a", "/b", "{}", 9001, 5), "invalid", "too many"),
        (("a",), "invalid", "video"),
        (("a b", "/b"), "invalid", "request_id"),
        (("a", 3.0), "invalid", "video"),
        ((float("nan"), "/b"), "invalid", "request_id"),
    ],
)
def test_each_refused_field_is_named(arguments, code, named):
    with pytest.raises(RefusedError) as caught:
        generate(*arguments)
    assert caught.value.code == code
    assert named in caught.value.message


def test_a_refusal_says_whose_it_is_and_does_not_repeat_what_came():
    with pytest.raises(RefusedError) as caught:
        generate("mine", "/b", '{"secret": "' + "x" * 300 + '"}')
    assert caught.value.request_id == "mine"
    assert "xxx" not in caught.value.message


@pytest.mark.parametrize(
    "address", ["/omniaudio/", "/omniaudio/*", "/omniaudio/generate/x", "/generate", "/foa/" + "*" * 40]
)
def test_addresses_are_literal(address):
    with pytest.raises(RefusedError, match="There is no"):
        parse(Message(address, ()))
