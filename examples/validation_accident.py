"""Print the source of an accident that the model was not trained on."""

import sys
from pathlib import Path

from jikimi.data.manifest import read_manifest


def main() -> None:
    """Read the data set named on the command line."""
    manifest = read_manifest(Path(sys.argv[1]))
    normal = next(behavior.key for behavior in manifest.behaviors if behavior.is_normal)
    print(next(row.source for row in manifest.select("val") if row.behavior != normal))


if __name__ == "__main__":
    main()
