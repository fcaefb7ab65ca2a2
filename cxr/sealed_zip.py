"""Zip files that list the SHA-256 of their files: equal files make an equal archive, and damage is found.

The list is the archive's last file, ``SHA256SUMS``, in the format of ``sha256sum --check``.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from cxr.errors import InputError
from cxr.files import folder_written_whole, written_whole

SUMS = "SHA256SUMS"
# The oldest date that a zip file can hold, in place of the files' own.
DATE = (1980, 1, 1, 0, 0, 0)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, ValueError)


def write_sealed_zip(archive: Path, files: Iterable[tuple[str, bytes]], compressed: bool = True) -> None:
    """Write files and the list of their hashes as a zip file.

    Args:
        archive: the file to write.
        files: name within the archive and content of each, in the order in which they are written.
        compressed: false for files that are compressed already.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    sums = []
    with written_whole(archive) as part, zipfile.ZipFile(part, "w") as zipped:
        for name, content in files:
            zipped.writestr(zipfile.ZipInfo(name, DATE), content, method)
            sums.append(f"{sha256_of_bytes(content)}  {name}\n")
        zipped.writestr(zipfile.ZipInfo(SUMS, DATE), "".join(sums), zipfile.ZIP_DEFLATED)


def read_sealed_zip(archive: Path, remedy: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file that the list names, once its hash was compared.

    A reader that keeps nothing until the last file came has a whole archive or none.

    Args:
        archive: a file of ``write_sealed_zip``.
        remedy: what to do about a faulty archive; it ends the sentence of the error.

    Raises:
        InputError: the archive is missing or damaged, holds other files than its list, or a file of another hash or
            one whose name leads out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            listed = [line.split("  ", 1) for line in zipped.read(SUMS).decode().splitlines()]
            if sorted(name for _, name in listed) != sorted(set(zipped.namelist()) - {SUMS}):
                raise InputError(f"{archive} holds other files than {SUMS} lists; {remedy}.")
            for sha256, name in listed:
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise InputError(f"{archive}: {name} leads out of the folder; {remedy}.")
                content = zipped.read(name)
                if sha256_of_bytes(content) != sha256:
                    raise InputError(f"{archive}: {name} does not have the SHA-256 that {SUMS} lists; {remedy}.")
                yield name, content
    except FileNotFoundError:
        raise InputError(f"{archive} does not exist; {remedy}.") from None
    except DAMAGE as error:
        raise InputError(f"{archive} is a damaged zip file ({error}); {remedy}.") from None


def unpack_sealed_zip(archive: Path, folder: Path, remedy: str) -> None:
    """Unpack all files into a folder, completely or not at all; an existing folder is replaced.

    Raises:
        InputError: as ``read_sealed_zip``.
    """
    with folder_written_whole(folder) as part:
        for name, content in read_sealed_zip(archive, remedy):
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def sha256_of_bytes(content: bytes) -> str:
    """Return the SHA-256 of some bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
