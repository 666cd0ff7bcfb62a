"""What the hook `sealant-wheel` of .pre-commit-hooks.yaml installs: the program of the release that this checkout is.

release/wheel makes the package of the program, and this one only depends on it. It is for the framework, and is not published.
"""

import pathlib
import platform
import re
import sys

import setuptools

cargo = pathlib.Path(__file__).with_name("Cargo.toml").read_text()
version, repository = (re.search(rf'^{key} = "(.*)"$', cargo, re.MULTILINE)[1] for key in ("version", "repository"))
machine = platform.machine()
if sys.platform != "linux" or machine not in ("x86_64", "aarch64"):
    sys.exit(f"A release has no program for {sys.platform} on {machine}. The hook `sealant` compiles it.")
wheel = f"sealant_cli-{version}-py3-none-manylinux2014_{machine}.musllinux_1_1_{machine}.whl"
setuptools.setup(
    name="sealant-hook",
    version=version,
    py_modules=[],
    # By its address, since a name on PyPI can be somebody else's.
    install_requires=[f"sealant-cli @ {repository}/releases/download/v{version}/{wheel}"],
)
