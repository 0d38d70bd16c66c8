"""requirements.lock holds what pyproject.toml asks for, and nothing of the machine that wrote it."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.paths import REPOSITORY

LOCK = (REPOSITORY / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
ASKED = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]


@pytest.mark.parametrize("text", sorted(set(ASKED)))
def test_each_requirement_is_a_range_and_locked_within_it(text: str) -> None:
    requirement = Requirement(text)
    assert {part.operator for part in requirement.specifier} in ({">=", "<"}, {"=="})
    lines = [line.partition("#")[0] for line in LOCK.splitlines()]
    locked = [Requirement(line) for line in lines if line.strip()]
    versions = [
        part.version
        for found in locked
        if canonicalize_name(found.name) == canonicalize_name(requirement.name)
        for part in found.specifier
    ]
    assert versions, f"run `make lock`: {text}"
    assert all(requirement.specifier.contains(version) for version in versions), f"run `make lock`: {text}"


def test_the_lock_names_no_registry_and_no_folder() -> None:
    assert not re.search(r"://|--index-url|--find-links| @ |(?:^|\s)/|[A-Z]:\\\\", LOCK)


def test_the_lock_fixes_every_version() -> None:
    for line in LOCK.splitlines():
        assert re.match(r"#|[a-z0-9-]+==[0-9][\w.]*(?: +(?:;|#)|$)", line), line
