"""Names on disk: safe for any camera name, never overwriting, never seen before they are whole."""

import hashlib
import re
import unicodedata
from pathlib import Path

# ext4, NTFS and APFS allow 255 bytes a name; what is cut leaves room for time, behaviour and endings.
_MAX_BYTES = 120

_UNSAFE = re.compile(r"[^\w.-]+")


def safe_name(name: str) -> str:
    """Turn a camera's name into one directory name: letters of any script, digits, '.', '-' and '_'.

    A name that had to be changed ends with a mark of the original, so that two never share a directory.
    """
    composed = unicodedata.normalize("NFC", name)
    safe = _UNSAFE.sub("_", composed).strip("._-")
    safe = safe.encode("utf-8", "ignore")[:_MAX_BYTES].decode("utf-8", "ignore")
    if safe and safe == name:
        return safe
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe or 'camera'}_{mark}"


def reserve(folder: Path, stem: str) -> tuple[Path, Path]:
    """Return (temporary, final) paths `.stem.mp4.part` and `stem.mp4` that nothing else uses.

    The temporary file is created. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        name = f"{stem}.mp4" if number == 1 else f"{stem}-{number}.mp4"
        final, temporary = folder / name, folder / f".{name}.part"
        number += 1
        if final.exists():
            continue
        try:
            temporary.open("xb").close()
        except FileExistsError:
            continue
        except FileNotFoundError:  # retention has just removed the folder: it was empty
            folder.mkdir(parents=True, exist_ok=True)
            number = 1
            continue
        if not final.exists():  # its writer may have finished between the two looks
            return temporary, final
        temporary.unlink()
