"""Arrays by name in an .npz, one after the other. numpy.savez takes names as keywords and so cannot hold one called "file"."""

import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np


def write(path, arrays):
    """Writes `arrays`, a dict; the file appears complete or not at all."""
    path = Path(path)
    handle, part = tempfile.mkstemp(prefix=".layerdiff-", dir=path.parent)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        ):
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)
        # Temporary files are private; this one is a file like others.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
