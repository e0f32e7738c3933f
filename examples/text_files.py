"""Reading files of text: plain, `.gz`, `.xz`, in folders and in archives.

Whatever is wrong with a file ends in a `ValueError` that names it.
"""

import csv
import gzip
import io
import lzma
import tarfile
import zlib
from pathlib import Path

# Yelp and Amazon hold reviews longer than the `csv` module's default limit.
MAX_FIELD_SIZE = 2**24
OPENERS = {".gz": gzip.open, ".xz": lzma.open}
READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error)


def shown(path):
    """Returns a path as it should appear after `Received:`."""
    return None if path is None else repr(str(path))


def find_file(candidates, what, folder):
    """Returns the first path that exists.

    Args:
        candidates: List of `pathlib.Path`, the preferred one first.
        what: String, the data set's name.
        folder: Path that the user gave, for the message.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: If none exists. The message lists them.
    """
    for path in candidates:
        if path.exists():
            return path
    raise ValueError(
        f"The data set '{what}' expects one of these in its folder: "
        f"{', '.join(str(path) for path in candidates)}. "
        f"Received: data_dir={shown(folder)}"
    )


def decode(content, path):
    """Decodes UTF-8, with or without a byte order mark.

    Args:
        content: Bytes.
        path: Path to name in the message.

    Returns:
        String.

    Raises:
        ValueError: If it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected text in UTF-8 ({error}). Received: path={shown(path)}"
        ) from error


def read_text(path):
    """Reads a text file, decompressed according to the end of its name.

    Args:
        path: String or path.

    Returns:
        String.

    Raises:
        ValueError: If the file cannot be read, or is not UTF-8.
    """
    try:
        with OPENERS.get(Path(path).suffix, open)(path, "rb") as file:
            content = file.read()
    except READ_ERRORS as error:
        raise ValueError(
            f"Expected a readable file ({error}). Received: path={shown(path)}"
        ) from error
    return decode(content, path)


def read_rows(path):
    """Reads a CSV file.

    Args:
        path: String or path.

    Returns:
        List of `(line, row)`: the number of the row's last line, counted from
        1, and its list of strings. Blank lines are left out.

    Raises:
        ValueError: If the file cannot be read, is no CSV, or has no row.
    """
    csv.field_size_limit(MAX_FIELD_SIZE)
    # `newline=""`: line breaks inside of quotes are the text's own.
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        rows = [
            (reader.line_num, row)
            for row in reader
            if len(row) > 1 or "".join(row).strip()
        ]
    except csv.Error as error:
        raise ValueError(
            f"Expected a CSV file, but line {reader.line_num} is none "
            f"({error}). Received: path={shown(path)}"
        ) from error
    if not rows:
        raise ValueError(
            "Expected a CSV file with at least one row, but it is empty. "
            f"Received: path={shown(path)}"
        )
    return rows


def read_columns(path, columns, filled=None):
    """Reads columns of a CSV file, by name or by number.

    Args:
        path: String or path.
        columns: Tuple of strings. Either all of them are names of the header,
            or all are numbers, counted from 0, and the file has no header.
        filled: String, one of them, in which no row may be empty. Defaults to
            `None`.

    Returns:
        Tuple of lists of strings, one for each column.

    Raises:
        ValueError: If the file cannot be read, is empty, lacks a column, or a
            row is too short or empty in the column `filled`.
    """
    rows = read_rows(path)
    numbered = [column.isdecimal() for column in columns]
    if any(numbered) and not all(numbered):
        raise ValueError(
            f"{path}: expected either names for all columns, which the first "
            f"row then holds, or numbers for all. Received: columns={columns}"
        )
    if all(numbered):
        places = [int(column) for column in columns]
        present = [str(i) for i in range(len(rows[0][1]))]
    else:
        present = [name.strip() for name in rows.pop(0)[1]]
        places = [
            present.index(column) if column in present else len(present)
            for column in columns
        ]
    for column, place in zip(columns, places, strict=True):
        if place >= len(present):
            raise ValueError(
                f"{path}: expected a column that the file has: "
                f"{', '.join(present)}. Received: column={column!r}"
            )
    if not rows:
        raise ValueError(
            "Expected a CSV file with at least one row below its header. "
            f"Received: path={shown(path)}"
        )
    for line, row in rows:
        if len(row) <= max(places):
            raise ValueError(
                f"{path}, line {line}: expected at least {max(places) + 1} "
                f"columns. Received: row={row}"
            )
        if filled and not row[places[columns.index(filled)]].strip():
            raise ValueError(
                f"{path}, line {line}: expected something in the column "
                f"{filled!r}. Received: row={row}"
            )
    return tuple([row[place] for _, row in rows] for place in places)


def folder_members(folder):
    """Yields the `.txt` files below a folder as an archive of it would.

    Args:
        folder: `pathlib.Path`.

    Yields:
        Tuples of a name that begins with the folder's own, and bytes.

    Raises:
        ValueError: If a file cannot be read.
    """
    for path in folder.rglob("*.txt"):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(
                f"Expected a readable file ({error}). "
                f"Received: path={shown(path)}"
            ) from error
        yield path.relative_to(folder.parent).as_posix(), content


def archive_members(path):
    """Yields the files of a tar archive, compressed or not.

    Args:
        path: `pathlib.Path`.

    Yields:
        Tuples of a member's name and its bytes, in the archive's order.

    Raises:
        ValueError: If the archive cannot be read.
    """
    try:
        # As a stream: a compressed archive is decompressed only once.
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read()
    except (tarfile.TarError, *READ_ERRORS) as error:
        raise ValueError(
            f"Expected a readable tar archive ({error}). "
            f"Received: path={shown(path)}"
        ) from error
