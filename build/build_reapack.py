"""Writes ReaPack's index of the ReaScripts, for a place where the files of `osc_bridge/reaper/` can be fetched.

    python build/build_reapack.py https://example.org/omniaudio/reaper/ [-o osc_bridge/reaper/index.xml]

REAPER users add the address of that `index.xml` in ReaPack. Standard library only; what it says comes from the scripts'
own headers. The form: ReaPack's index format, version 1.
"""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as Xml

SCRIPTS = Path(__file__).resolve().parent.parent / "osc_bridge" / "reaper"


def header(script: Path) -> dict[str, str]:
    """The tags of a script's first comment, `@description` and so on; the lines of `@about` are joined."""
    comment = re.match(r"(?:--.*\n)+", script.read_text("utf-8"))
    tags: dict[str, str] = {}
    name = ""
    for line in comment[0].splitlines() if comment else []:
        text = line.removeprefix("--").strip()
        if found := re.match(r"@(\w+)\s*(.*)", text):
            name = found[1]
            tags[name] = found[2]
        elif name:
            tags[name] = f"{tags[name]}\n{text}".strip("\n")
    return tags


def index(address: str, written: datetime) -> Xml.Element:
    """The index of all scripts, whose files are fetched from `address`, which ends with a slash."""
    root = Xml.Element("index", version="1", name="OmniAudio")
    for folder in sorted(path for path in SCRIPTS.iterdir() if path.is_dir()):
        category = Xml.SubElement(root, "category", name=folder.name)
        for script in sorted(folder.glob("*.lua")):
            tags = header(script)
            package = Xml.SubElement(category, "reapack", name=script.name, type="script", desc=tags["description"])
            version = Xml.SubElement(package, "version", name=tags["version"], author=tags["author"])
            version.set("time", written.strftime("%Y-%m-%dT%H:%M:%SZ"))
            source = Xml.SubElement(version, "source", main="main")
            source.text = address + quote(f"{folder.name}/{script.name}")
    return root


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="where the folder osc_bridge/reaper/ can be fetched, with a slash at its end")
    parser.add_argument("-o", "--output", type=Path, default=Path("index.xml"))
    chosen = parser.parse_args()
    if not re.match(r"https?://.+/$", chosen.address):
        print(f"{chosen.address} is no web address with a slash at its end: give one.", file=sys.stderr)
        return 1
    tree = Xml.ElementTree(index(chosen.address, datetime.now(UTC)))
    Xml.indent(tree)
    tree.write(chosen.output, encoding="utf-8", xml_declaration=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
