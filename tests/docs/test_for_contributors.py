"""What contributors are told names files, tasks and versions that there are."""

import re
import tomllib
from fnmatch import fnmatch

import pytest
import yaml

from support.paths import REPOSITORY

PAGES = ["CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"]
FOLDERS = ["benchmarks", "blender_addon", "build", "docs", "omniaudio", "omniaudio_client", "osc_bridge", "tests"]
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join([*FOLDERS, 'trt_engine'])})/[\w/.-]*[\w/]")
TASK = re.compile(r"(?:make|python build/bootstrap\.py) ([a-z]+)")


def read(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page: str) -> None:
    paths = [path for path in PATH.findall(read(page)) if "NAME" not in path]
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("name", [*PAGES, ".github/workflows/ci.yml"])
def test_tasks_that_are_named_are_there(name: str) -> None:
    tasks = re.findall(r'^        "([a-z]+)": \1,$', read("build/bootstrap.py"), re.MULTILINE)
    text = read(name)
    if name.endswith(".md"):
        text = "\n".join(re.findall(r"`[^`\n]+`|^make .*$", text, re.MULTILINE))
    assert set(TASK.findall(text)) <= set(tasks)


def test_the_forms_for_issues_are_forms() -> None:
    """As the forge reads them: a name, a description, and fields with ids of their own."""
    for path in sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        form = yaml.safe_load(path.read_text("utf-8"))
        if path.name == "config.yml":
            continue
        assert form["name"]
        assert form["description"]
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)
        assert all(field["attributes"]["label"] for field in fields)


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    citation = yaml.safe_load(read("CITATION.cff"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_no_folder_of_tests_is_left_out(pytestconfig: pytest.Config) -> None:
    """pytest's default skips every folder called `build`."""
    folders = {
        folder.name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for folder in path.relative_to(REPOSITORY).parents
    }
    patterns = pytestconfig.getini("norecursedirs")
    assert [name for name in folders for pattern in patterns if fnmatch(name, pattern)] == []
