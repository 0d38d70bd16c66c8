"""The names of files: valid for the service and file systems, and different for each request."""

import pytest

from osc_bridge.http_service import MAX_STEM_BYTES, HttpService, _stem
from osc_bridge.ledger import Entry
from osc_bridge.messages import Options, RefusedError
from trt_engine.service.kinds.generate import GenerateRequest


def entry(video, request_id="take-1"):
    return Entry(request_id, "", video, Options.model_validate({}), "127.0.0.1", None)


@pytest.mark.parametrize(
    "name",
    [
        "forest",
        "x" * 200,
        "森" * 80,
        "take #3 (50%)",
        'a"b*c?',
        ".hidden",
        "...",
        "hafen ä",
        "a\\b",
        "line\nbreak",
        "🎧" * 60,
    ],
)
@pytest.mark.parametrize("request_id", ["1", "a" * 64, "::", "reaper-4F2A"])
def test_the_service_and_file_systems_accept_every_clips_name(name, request_id):
    stem = _stem(entry(f"/clips/{name}.mp4", request_id))
    assert GenerateRequest(source={"path": "/clips/a.mp4"}, name=stem).name == stem
    assert len(stem.encode()) <= MAX_STEM_BYTES
    assert stem.endswith(".ambix")


def test_a_short_plain_name_stays_as_it_is():
    assert _stem(entry("/clips/hafen ä.mp4")) == "hafen ä.take-1.ambix"


def test_requests_for_one_clip_have_different_names():
    ids = ["a:b", "a-b", "a.b", "a_b"]
    assert len({_stem(entry("/clips/a.mp4", request_id)) for request_id in ids}) == len(ids)


@pytest.mark.parametrize("video", [r"/\host\share\a.mp4", r"\/host/share/a.mp4", "//host/a.mp4", r"\\?\C:\a.mp4"])
def test_a_share_in_any_spelling_is_not_even_followed(video, tmp_path):
    def connect():
        raise AssertionError("the service was asked")

    with pytest.raises(RefusedError, match="absolute path"):
        HttpService(connect, tmp_path, tmp_path).submit(entry(video))
