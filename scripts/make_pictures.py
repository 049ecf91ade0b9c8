"""Make the pictures of the README from the sample organization in ``data/``."""

from pathlib import Path

import outreach_frames as of

ROOT = Path(__file__).parents[1]
DPI = 110


def main() -> None:
    """Draw both pictures into ``docs/``."""
    sample = of.open_snapshot(ROOT / "data" / "sample")
    mailings, sequences, states = (sample.frame(name) for name in ("mailings", "sequences", "sequence_states"))
    pictures = {
        "rates": of.plots.plot_rates(
            of.stats.sequence_engagement(mailings, sequences=sequences, sequence_states=states)
        ),
        "outcomes": of.plots.plot_cumulative_incidence(of.stats.cumulative_incidence(of.stats.time_to_event(mailings))),
    }
    folder = ROOT / "docs"
    folder.mkdir(exist_ok=True)
    for name, ax in pictures.items():
        ax.figure.savefig(folder / f"{name}.png", dpi=DPI)
        print(f"docs/{name}.png: {ax.figure.outreach_alt}")


if __name__ == "__main__":
    main()
