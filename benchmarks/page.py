"""Markdown: tables, figures with their range, and blocks of a page that are replaced while the rest stays."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.measure import Summary
from omniaudio.files import replacing


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in cells are escaped, line breaks become spaces."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def facts(known: Mapping[str, str]) -> str:
    """What a machine or a run is like, as a table of two columns."""
    return table(["", ""], list(known.items()))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def figure(summary: Summary, unit: str = "") -> str:
    """A median with its range, to three digits: `2.11 (2.09–2.30) s`; the range is left out of a single run."""
    text = _three_digits(summary.median)
    if summary.count > 1:
        text += f" ({_three_digits(summary.least)}–{_three_digits(summary.most)})"
    return f"{text} {unit}".strip()


def _three_digits(value: float) -> str:
    if abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:.{max(0, 3 - len(str(int(abs(value)))))}f}"


def write_blocks(page: Path, title: str, blocks: Mapping[str, str]) -> None:
    """Put each block between its two comments in a page; text around them stays as it is.

    A block that the page does not have is added at its end; a page that is not there begins with the title.
    """
    text = page.read_text("utf-8") if page.is_file() else f"# {title}\n"
    for name, content in blocks.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        block = f"{begin}\n{content.strip()}\n{end}"
        before, found, rest = text.partition(begin)
        if found:
            _, closed, after = rest.partition(end)
            if not closed:
                raise ValueError(f"{page} has {begin} and no {end} behind it")
            text = before + block + after
        else:
            text = f"{text.rstrip()}\n\n{block}\n"
    with replacing(page) as partial:
        partial.write_text(text, "utf-8")
