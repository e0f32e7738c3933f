"""English prose that is on every machine: docstrings of installed packages.

The task is to tell from a docstring's prose which package it documents. The
packages are those that this project cannot run without, so the data set needs
no download. The source files are parsed with `ast`, never imported.
"""

import ast
import importlib.metadata
import importlib.util
import inspect
import platform
import re
import sysconfig
import warnings
from pathlib import Path

import numpy as np

# The standard library stands under the name "python".
PACKAGES = ("keras", "numpy", "python", "tensorflow")

# Never docstrings a person wrote for this package: tests, generated re-exports,
# copies of other packages, and (in the standard library) installed packages.
SKIPPED_FOLDERS = frozenset(
    (
        "_api",
        "_bundled",
        "_tf_keras",
        "_vendor",
        "api",
        "dist-packages",
        "idle_test",
        "keras",
        "site-packages",
        "test",
        "testing",
        "tests",
    )
)

# Words that would give the label away: a name with one of the packages' names
# in it, and the customary short names with whatever follows their dot.
NAMES = re.compile(
    r"(?:[\w.]*(?:tensorflow|keras|numpy|python)|\b(?:tf|np)\b)(?:[\w.]*\w)?",
    re.IGNORECASE,
)
CODE_FENCE = re.compile(r"^\s*(?:```|~~~)")
# Titles of sections ("Args:", "Parameters") and what underlines them: they are
# a package's house style, not prose.
HEADING = re.compile(r"^\s*(?:[A-Z]\w*(?: \w+)?:?|[-=~^]{3,})\s*$")


def prose(docstring):
    """Takes from a docstring what reads as text.

    Doctests, fenced code, headings and the packages' names are left out, and
    white space is reduced to single spaces.

    Args:
        docstring: String.

    Returns:
        String, empty where nothing is left.
    """
    lines = []
    in_fence = in_doctest = False
    for line in inspect.cleandoc(docstring).splitlines():
        if CODE_FENCE.match(line):
            in_fence = not in_fence
            continue
        if line.lstrip().startswith(">>>"):
            in_doctest = True
        elif not line.strip():
            # A doctest's output ends with a blank line.
            in_doctest = False
        if not (in_fence or in_doctest or HEADING.match(line)):
            lines.append(line)
    return " ".join(NAMES.sub(" ", " ".join(lines)).split())


def file_texts(path, min_words):
    """Lists the docstrings of one source file as prose, in their order.

    Args:
        path: `pathlib.Path` of a Python source file.
        min_words: Integer. Shorter texts are left out.

    Returns:
        List of strings. Empty for a file that this Python cannot parse:
        packages ship templates and files for other versions.
    """
    try:
        with warnings.catch_warnings():
            # An invalid escape in somebody's source is not ours to report.
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    documented = (
        ast.Module,
        ast.ClassDef,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
    )
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, documented):
            text = prose(ast.get_docstring(node, clean=False) or "")
            if len(re.findall(r"[^\W\d_]{2,}", text)) >= min_words:
                texts.append(text)
    return texts


def source_files(package):
    """Lists the source files of an installed package, sorted by path.

    Args:
        package: String, an importable package, or `"python"` for the standard
            library.

    Returns:
        List of `pathlib.Path`.

    Raises:
        ValueError: If the package is not installed, or without its sources.
    """
    if package == "python":
        root = Path(sysconfig.get_paths()["stdlib"])
    else:
        # Finding a top-level package does not import it.
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(
                "The data set 'docstrings' reads the sources of an installed "
                f"package. Received: package={package!r}"
            )
        root = Path(next(iter(spec.submodule_search_locations)))
    files = [
        path
        for path in root.rglob("*.py")
        if SKIPPED_FOLDERS.isdisjoint(path.relative_to(root).parts[:-1])
        and not path.name.startswith(("test_", "gen_"))
        and not path.stem.endswith("_test")
    ]
    if not files:
        raise ValueError(
            "The data set 'docstrings' expects Python source files in the "
            f"package's folder {root}. Received: package={package!r}"
        )
    return sorted(files)


def package_version(package):
    """Returns the installed version of a package, as a string."""
    if package == "python":
        return platform.python_version()
    # The distribution may have another name, such as `tensorflow-cpu`.
    distributions = importlib.metadata.packages_distributions()[package]
    return importlib.metadata.version(sorted(distributions)[0])


def read_docstrings(
    train_size=1000, test_size=250, min_words=20, packages=PACKAGES
):
    """Reads the docstrings of installed packages, split by source file.

    The files of a package are visited in a fixed shuffled order: the first
    ones give the test texts, the following ones the training texts, and
    reading stops when there are enough. No file gives to both parts, and a
    text already seen in any file of any package is dropped. All classes end
    with the same number of texts, so that a package with few docstrings
    limits the others. The result depends on the installed versions only.

    Args:
        train_size: Integer, number of training texts per package at most.
        test_size: Integer, number of test texts per package at most.
        min_words: Integer. Shorter texts are left out.
        packages: Tuple of strings. The classes.

    Returns:
        Tuple `(train, test, versions)`: two dictionaries that map each package
        to its list of `(text, file)`, both strings, and a string that names
        the packages with their versions.

    Raises:
        ValueError: If a package has no source files or too few docstrings.
    """
    seen = set()
    train, test, versions = {}, {}, []
    for package in packages:
        files = source_files(package)
        order = np.random.default_rng(0).permutation(len(files))
        paths = (files[i] for i in order)
        for part, size in ((test, test_size), (train, train_size)):
            part[package] = _take(paths, size, min_words, seen)
            if not part[package]:
                raise ValueError(
                    "The data set 'docstrings' found too few docstrings of "
                    f"{min_words} words or more in the {len(files)} source "
                    f"files of a package. Received: package={package!r}"
                )
        versions.append(f"{package} {package_version(package)}")
    for part in (train, test):
        smallest = min(len(texts) for texts in part.values())
        for package in packages:
            part[package] = part[package][:smallest]
    return train, test, ", ".join(versions)


def _take(paths, size, min_words, seen):
    """Takes `size` unseen texts with their files, from an iterator."""
    texts = []
    while len(texts) < size:
        path = next(paths, None)
        if path is None:
            break
        for text in file_texts(path, min_words):
            key = text.casefold()
            if key not in seen:
                seen.add(key)
                texts.append((text, str(path)))
    # What the last file has beyond `size` stays in `seen`, so that it comes
    # into no other part either.
    return texts[:size]
