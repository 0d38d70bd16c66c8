"""The chosen clip's list of sources: detects, edits and clears it."""

from dataclasses import replace
from functools import partial

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty

from omniaudio_client.kinds import all_kinds, kind, name_of

from ..blender_versions import sequencer_scene
from ..core.errors import UserError
from ..core.job import Allowed, BlenderJob, Cancelled, Steps
from ..props.source_list import (
    OmniAudioSourceList,
    add,
    clear,
    entry_at,
    fill,
    is_of,
    list_of,
    remove,
    shown_clip,
)
from ..workflows.detect import detect
from ..workflows.snapshot import take_snapshot
from .pump import JobOperator

_ITEMS: dict[bool | None, list[tuple[str, str, str]]] = {}
"""Keeps references to the strings of dynamic enums, which Blender does not."""


def chosen_list(context: bpy.types.Context) -> OmniAudioSourceList | None:
    """The list of the chosen clip, which may be empty; None if there is no strip."""
    scene = sequencer_scene(context)
    return list_of(scene, scene.omniaudio.source)


def current_list(context: bpy.types.Context) -> OmniAudioSourceList | None:
    """The list that is used; None if there is none, or it describes another clip."""
    scene, found = sequencer_scene(context), chosen_list(context)
    return found if found is not None and is_of(found, shown_clip(scene, scene.omniaudio.source)) else None


class OMNIAUDIO_OT_detect_sources(JobOperator, bpy.types.Operator):  # noqa: N801 (Blender's own form)
    """List the sources in the clip: kind, direction, level. Correct it here, before or after generating sound"""

    bl_idname = "omniaudio.detect_sources"
    bl_label = "Detect Sources"
    bl_options = {"UNDO"}  # noqa: RUF012 (Blender's own form)

    def new_job(self, context: bpy.types.Context, blocking: bool) -> BlenderJob:
        snapshot = take_snapshot(context)

        def begin(allowed: Allowed, cancelled: Cancelled) -> Steps:
            return detect(replace(snapshot, request=snapshot.request.with_allowed(allowed)), blocking, cancelled)

        return BlenderJob(f"{snapshot.title}: detect sources", partial(begin, Allowed()), begin)


class OfList:
    """Base of operators that edit the list."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if current_list(context) is not None:
            return True
        cls.poll_message_set("Detect the sources first")
        return False


class WithKinds:
    """Base of operators that ask for a kind in a search menu. Each has to set `bl_property` itself: Blender ignores
    inherited ones."""

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.invoke_search_popup(self)
        return {"RUNNING_MODAL"}


def _items(bed: bool | None) -> list[tuple[str, str, str]]:
    if bed not in _ITEMS:
        _ITEMS[bed] = [
            (known.id, known.name, "Surrounds the listener" if known.bed else "Has a direction")
            for known in all_kinds()
            if bed in (None, known.bed)
        ]
    return _ITEMS[bed]


class OMNIAUDIO_OT_choose_kind(OfList, WithKinds, bpy.types.Operator):  # noqa: N801
    """Choose the kind of this source; type to search"""

    bl_idname = "omniaudio.choose_kind"
    bl_label = "Choose Kind"
    bl_property = "kind"
    bl_options = {"UNDO"}  # noqa: RUF012

    index: IntProperty(name="Index", description="In the list; -1: the active one", default=-1, options={"SKIP_SAVE"})
    bed: BoolProperty(options={"HIDDEN", "SKIP_SAVE"}, description="List kinds that surround the listener")
    kind: EnumProperty(name="Kind", description="Kind of the source", items=lambda self, _context: _items(self.bed))

    def execute(self, context: bpy.types.Context) -> set[str]:
        found = current_list(context)
        index = found.active if self.index < 0 else self.index
        try:
            entry = entry_at(found, index)
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        if entry.bed != self.bed:
            wanted = "surrounds the listener" if entry.bed else "comes from one direction"
            self.report({"ERROR"}, f"{name_of(entry.kind)} {wanted}; choose another kind that does.")
            return {"CANCELLED"}
        entry.kind = self.kind
        return {"FINISHED"}


class OMNIAUDIO_OT_add_source(WithKinds, bpy.types.Operator):  # noqa: N801
    """Add a source in front, or set the bed that surrounds the listener; type to search"""

    bl_idname = "omniaudio.add_source"
    bl_label = "Add Source"
    bl_property = "kind"
    bl_options = {"UNDO"}  # noqa: RUF012

    kind: EnumProperty(name="Kind", description="Kind of the source", items=lambda _self, _context: _items(None))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen_list(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, found = sequencer_scene(context), chosen_list(context)
        clip = shown_clip(scene, scene.omniaudio.source)
        if not is_of(found, clip):
            fill(found, {}, clip)
        known = kind(self.kind)
        add(found, self.kind, known is not None and known.bed)
        return {"FINISHED"}


class OMNIAUDIO_OT_remove_source(OfList, bpy.types.Operator):  # noqa: N801
    """Remove this source from the list"""

    bl_idname = "omniaudio.remove_source"
    bl_label = "Remove Source"
    bl_options = {"UNDO"}  # noqa: RUF012

    index: IntProperty(name="Index", description="In the list; -1: the active one", default=-1, options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        found = current_list(context)
        try:
            remove(found, found.active if self.index < 0 else self.index)
        except UserError as error:
            self.report({"ERROR"}, error.message)
            return {"CANCELLED"}
        return {"FINISHED"}


class OMNIAUDIO_OT_clear_sources(bpy.types.Operator):  # noqa: N801
    """Clear the list: sources are detected when sound is generated"""

    bl_idname = "omniaudio.clear_sources"
    bl_label = "Clear Sources"
    bl_options = {"UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        found = chosen_list(context)
        return found is not None and found.there

    def execute(self, context: bpy.types.Context) -> set[str]:
        clear(chosen_list(context))
        return {"FINISHED"}


CLASSES = (
    OMNIAUDIO_OT_detect_sources,
    OMNIAUDIO_OT_choose_kind,
    OMNIAUDIO_OT_add_source,
    OMNIAUDIO_OT_remove_source,
    OMNIAUDIO_OT_clear_sources,
)
