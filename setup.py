"""Packaging of keras_sparse_rnn."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent


def version():
    namespace = {}
    exec((HERE / "keras_sparse_rnn" / "version.py").read_text(), namespace)
    return namespace["__version__"]


EXTRAS = {
    "text": ["tensorflow-text>=2.20", "absl-py>=1.4"],
    "plots": ["matplotlib>=3.8"],
    "tensorboard": ["tensorboard>=2.20"],
}
EXTRAS["test"] = [
    *(name for extra in EXTRAS.values() for name in extra),
    "hypothesis>=6.100",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "ruff>=0.12",
]

setuptools.setup(
    name="keras_sparse_rnn",
    version=version(),
    description="Sparse recurrent networks for Keras 3, trained from scratch",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=setuptools.find_packages(include=["keras_sparse_rnn*"]),
    python_requires=">=3.11",
    install_requires=["tensorflow>=2.20", "keras>=3.12", "numpy>=1.26"],
    extras_require=EXTRAS,
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
