"""Tables in Markdown, in the part of a file that a benchmark writes."""

import pathlib

END = "<!-- end -->"


def markdown_table(headings, lines):
    """A table in Markdown, a string."""
    rule = ["---"] * len(headings)
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines)
    )


def write_block(path, text, script):
    """Replaces what is between the two markers of a file.

    Args:
        path: String or path. A file that does not exist is made of the block
            alone.
        text: String in Markdown.
        script: String, the name of the benchmark's file, which is part of the
            first marker.

    Raises:
        ValueError: If the file has not both markers, in their order.
    """
    marker = f"<!-- begin: written by benchmarks/{script} -->"
    path = pathlib.Path(path)
    before, after = "", "\n"
    if path.exists():
        before, begin, rest = path.read_text(encoding="utf-8").partition(marker)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise ValueError(
                f"Expected a file with the lines {marker!r} and {END!r}. "
                f"Received: path={str(path)!r}"
            )
    path.write_text(
        f"{before}{marker}\n\n{text}\n\n{END}{after}", encoding="utf-8"
    )
