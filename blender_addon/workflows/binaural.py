"""Binaural previews for a rotated head."""

from dataclasses import replace

from omniaudio_client.records import BinauralRequest, PathSource

from ..core.job import Cancelled, Outcome, Steps
from ..sequencer.takes import TakeStrips, replace_sound, takes_of
from .following import blender_is_free, made_by_service, scene_named
from .snapshot import usable_folder


def binaural(scene: str, take: TakeStrips, yaw: float, cancelled: Cancelled) -> Steps:
    """Replaces a take's preview by one for a head that is rotated `yaw` degrees to the left.

    Raises UserError and CancelledError.
    """
    folder = usable_folder(take.ambix.parent)
    request = BinauralRequest(PathSource(str(take.ambix)), yaw=yaw)
    stem = f"{take.ambix.stem}_yaw{yaw:+.0f}"
    made = yield from made_by_service(request, {"sound": take.ambix}, folder, stem, cancelled)
    yield from blender_is_free(cancelled)
    owner = scene_named(scene, folder)
    now = takes_of(owner, owner.sequence_editor.strips_all.get(take.master) if owner.sequence_editor else None)
    kept = next((other.provenance for other in now if other.master == take.master), take.provenance)
    replace_sound(owner, take.master, take.ambix, made.files[0], replace(kept, head_yaw=yaw))
    return Outcome(f"The preview of {take.master} is now for a head yaw of {yaw:.0f}°.", folder)
