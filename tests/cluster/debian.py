"""Programs of Debian packages, unpacked into a folder: nothing is installed, and no root is needed."""

import pathlib
import shutil
import subprocess


def unpack(folder, package):
    """The root of the unpacked package; None where apt does not have it. A second call finds what the first unpacked."""
    folder = pathlib.Path(folder) / package
    if (folder / ".ready").exists():
        return folder
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, capture_output=True).returncode:
        return None
    for deb in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        deb.unlink()
    (folder / ".ready").touch()
    return folder
