"""The image's steps, carried out and run: see chroot.sh. Minutes, root and the network, so only on demand:

python -m pytest -m container tests/container
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NO_BASE = 77

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot is for root"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is not installed"),
]


def test_the_image_builds_and_runs() -> None:
    done = subprocess.run([HERE / "chroot.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == NO_BASE:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout
