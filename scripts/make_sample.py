"""Make ``data/sample``: a snapshot of a made-up organization, for notebooks and examples. Nobody in it is real."""

import shutil
from pathlib import Path

import outreach_frames as of
from outreach_frames.snapshots import DEFAULT_RESOURCES

PROSPECTS, SEED = 800, 7
FOLDER = Path(__file__).parents[1] / "data" / "sample"


def main() -> None:
    """Extract the organization anew and put it in place of the old sample."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with of.sandbox(prospects=PROSPECTS, seed=SEED) as org:
        tables: dict[str, dict[str, str]] = {name: {} for name in (*DEFAULT_RESOURCES, "events", "email_addresses")}
        tables["templates"] = {"fields": "*"}  # with their bodies, for explorers that show messages
        sample = of.take_snapshot(org, FOLDER, resources=tables, progress=False)
    size = sum(file.stat().st_size for file in sample.folder.iterdir())
    print(f"{len(sample.tables)} tables, {size / 1e6:.1f} MB in {FOLDER.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
