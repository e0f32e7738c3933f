"""Packaging of keras_sparse_rnn, and the build of its native kernels."""

import pathlib
import runpy
import sys

import setuptools
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = pathlib.Path(__file__).parent


def constants(path):
    """Those of a file that cannot be imported while the package is built."""
    return runpy.run_path(str(HERE / path))


KERNELS = "keras_sparse_rnn/engine/kernels"
FLAGS = constants("kernel_flags.py")["FLAGS"]
FLAGS_OF_FILE = constants("kernel_flags.py")["FLAGS_OF_FILE"]
SOURCES = (HERE / KERNELS).glob("*.cpp")
HEADERS = (HERE / KERNELS).glob("*.h")


class BuildKernels(build_ext):
    """Compiles a plain C library, which is no extension module of Python's."""

    def get_ext_filename(self, fullname):
        return fullname.replace(".", "/") + ".so"

    def build_extension(self, ext):
        objects = []
        for source in ext.sources:
            own = FLAGS_OF_FILE.get(pathlib.Path(source).name, [])
            objects += self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                extra_postargs=[*FLAGS, *own],
                depends=ext.depends,
            )
        if sys.platform != "linux":
            self.link(ext, objects)
            return
        exported = pathlib.Path(self.build_temp) / "exported.map"
        exported.write_text("{ global: ksr_*; local: *; };")
        self.link(
            ext,
            objects,
            # So that this library's functions are not taken for another's.
            f"-Wl,--version-script={exported}",
            # Nor is the compiler's or the C++ library needed on the machine
            # that runs it: nothing of the latter is left.
            "-static-libgcc",
            "-Wl,--as-needed",
        )

    def link(self, ext, objects, *flags):
        self.compiler.link_shared_object(
            objects,
            self.get_ext_fullpath(ext.name),
            extra_postargs=["-pthread", *flags],
            target_lang="c++",
        )


class WheelForEveryPython(bdist_wheel):
    """One wheel a platform: the library knows no version of Python."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


EXTRAS = {
    "text": ["tensorflow-text>=2.20", "absl-py>=1.4"],
    "analysis": ["scipy>=1.11.4"],
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
    version=constants("keras_sparse_rnn/version.py")["__version__"],
    description="Sparse recurrent networks for Keras 3, trained from scratch",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=setuptools.find_packages(include=["keras_sparse_rnn*"]),
    ext_modules=[
        setuptools.Extension(
            "keras_sparse_rnn.engine._native_kernels",
            sorted(f"{KERNELS}/{path.name}" for path in SOURCES),
            depends=sorted(f"{KERNELS}/{path.name}" for path in HEADERS),
            language="c++",
            # Without a compiler the package installs all the same, and says
            # so when a layer could have run natively.
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": WheelForEveryPython},
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
