import pytest
from markdown_block import END
from markdown_block import markdown_table
from markdown_block import write_block

SCRIPT = "a_benchmark.py"
BEGIN = f"<!-- begin: written by benchmarks/{SCRIPT} -->"


def test_markdown_table():
    assert markdown_table(["a", "b"], [["1", "2"], ["3", "4"]]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"
    )


def test_a_block_is_replaced_and_the_rest_stays(tmp_path):
    path = tmp_path / "methods.md"
    path.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter ε\n", "utf-8")
    for text in ("first", "second"):
        write_block(path, text, SCRIPT)
        assert path.read_text("utf-8") == (
            f"# Before\n\n{BEGIN}\n\n{text}\n\n{END}\n\nAfter ε\n"
        )


def test_a_block_is_written_to_a_new_file_and_replaced_there(tmp_path):
    for text in ("first", "second"):
        write_block(tmp_path / "new.md", text, SCRIPT)
    content = (tmp_path / "new.md").read_text("utf-8")
    assert content == f"{BEGIN}\n\nsecond\n\n{END}\n"


@pytest.mark.parametrize("content", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_file_without_both_markers_is_left_alone(tmp_path, content):
    path = tmp_path / "methods.md"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"Received: path='.*methods\.md'"):
        write_block(path, "text", SCRIPT)
    assert path.read_text() == content
