"""Tables, figures, and a page whose own text survives."""

from pathlib import Path

import pytest

from benchmarks.measure import Summary
from benchmarks.page import figure, table, write_blocks


def test_a_table_keeps_its_columns_whatever_is_in_a_cell() -> None:
    assert table(["a", "b"], [["1|2", "x\ny"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | x y |"


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        (Summary(2.113, 2.09, 2.304, 5), "2.11 (2.09–2.30) s"),
        (Summary(140.26, 139.9, 141.0, 5), "140 (140–141) s"),
        (Summary(0.01234, 0.01234, 0.01234, 1), "0.0123 s"),
        (Summary(33.06, 33.06, 33.06, 1), "33.1 s"),
    ],
)
def test_a_figure_has_three_digits_and_its_range(summary: Summary, text: str) -> None:
    assert figure(summary, "s") == text


def test_text_outside_the_blocks_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    write_blocks(page, "Benchmarks", {"one": "old", "two": "second"})
    page.write_text(page.read_text().replace("# Benchmarks", "# Benchmarks\n\nWhat I think of it.") + "\nThe end.\n")
    write_blocks(page, "Benchmarks", {"one": "new", "three": "third"})
    text = page.read_text()
    assert "What I think of it." in text
    assert text.index("What I think") < text.index("new") < text.index("second") < text.index("The end.")
    assert text.index("The end.") < text.index("third")
    assert "old" not in text
    write_blocks(page, "Benchmarks", {"one": "new", "three": "third"})
    assert page.read_text() == text


def test_a_block_without_its_end_is_refused_and_the_page_left(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- generated: one -->\nmine\n")
    with pytest.raises(ValueError, match="no <!-- end: one -->"):
        write_blocks(page, "Benchmarks", {"one": "new"})
    assert page.read_text() == "<!-- generated: one -->\nmine\n"
