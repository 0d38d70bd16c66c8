"""Environments with exactly what `pip install ".[EXTRAS]"` installs, made within a second, without pip.

The distributions that the extras require, directly or not, are taken from the environment of the tests: each file is a
link to the one there. Nothing else is installed, so a missing requirement shows.
"""

import os
import sysconfig
import tomllib
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.paths import REPOSITORY


def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


def make(folder: Path, extras: Iterable[str]) -> Path:
    """Make an environment and return the folder of its programs, which has `omniaudio`.

    Raises:
        importlib.metadata.PackageNotFoundError: a requirement is not in the environment of the tests.
        KeyError: there is no such extra.
    """
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    names = {"base": str(folder), "platbase": str(folder)}
    packages, programs = (Path(sysconfig.get_path(kind, "venv", names)) for kind in ("purelib", "scripts"))
    table = project()
    for found in required(table["project"], extras):
        for file in found.files or ():
            # Programs, manuals and headers are outside.
            if ".." in file.parts or file.is_absolute():
                continue
            link = packages / file
            link.parent.mkdir(parents=True, exist_ok=True)
            if (source := Path(str(found.locate_file(file)))).is_file():
                link.symlink_to(source)
    for package in table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        (packages / package).symlink_to(REPOSITORY / package)
    _describe(packages, table["project"])
    program = programs / "omniaudio"
    program.write_text(f"#!{programs / 'python'}\nimport sys\nfrom omniaudio.cli import main\n\nsys.exit(main())\n")
    program.chmod(0o755)
    return programs


def required(table: dict[str, Any], extras: Iterable[str]) -> Iterator[Distribution]:
    """The distributions that pip would install, each once, in the installed versions."""
    texts = [*table["dependencies"], *(text for extra in extras for text in table["optional-dependencies"][extra])]
    waiting = [(Requirement(text), "") for text in texts]
    known: set[tuple[str, str]] = set()
    yielded: set[str] = set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        found = distribution(name)
        assert requirement.specifier.contains(found.version, prereleases=True), f"{requirement}, here {found.version}"
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in known:
                known.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in found.requires or ()]
        if name not in yielded:
            yielded.add(name)
            yield found


def _describe(packages: Path, table: dict[str, Any]) -> None:
    """Write the metadata of the project itself, as pip does."""
    folder = packages / f"{table['name'].replace('-', '_')}-{table['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in named.items())
        for group, named in table["entry-points"].items()
    )
    (folder / "entry_points.txt").write_text(points)


def variables(programs: Path, home: Path) -> dict[str, str]:
    """The environment variables of a user with this environment only, and a home of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMNIAUDIO", "XDG_"))}
    own = {f"XDG_{kind}_HOME": str(home / kind) for kind in ("DATA", "CACHE", "CONFIG", "STATE")}
    path = os.pathsep.join([str(programs), *kept.get("PATH", "").split(os.pathsep)])
    return {**kept, **own, "HOME": str(home), "PATH": path, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}
