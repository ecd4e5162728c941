# /// script
# requires-python = ">=3.11"
# dependencies = ["matplotlib>=3.10"]
# ///
"""Draw what `hooks bench --json` has written: requests per second, beside the limit.

uv run benchmarks/plot.py RESULTS.json PLOT.svg
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

ENDPOINTS = ["get", "list", "create", "patch", "order"]
LIMIT = "the limit"


def main(results: Path, plot: Path) -> None:
    rows = json.loads(results.read_text("utf-8"))
    mpl.rcParams["svg.hashsalt"] = "the same input is the same file"
    databases = {row["variant"].split("-")[1]: None for row in rows}
    figure, axes = plt.subplots(
        len(databases), 1, figsize=(10, 3.6 * len(databases)), squeeze=False, layout="constrained"
    )
    for axis, database in zip(axes[:, 0], databases, strict=True):
        bars: dict[str, dict[str, float]] = {LIMIT: {}}
        for row in rows:
            name = row["variant"]
            if name.split("-")[1] == database:
                bars.setdefault(name, {})[row["endpoint"]] = row["requests_per_second"]
                limit = row["requests_per_second"] / row["ratio_to_limit"]
                bars[LIMIT].setdefault(row["endpoint"], limit)
        width = 0.8 / len(bars)
        for number, (name, values) in enumerate(bars.items()):
            places = [place + number * width for place in range(len(ENDPOINTS))]
            drawn = axis.bar(
                places,
                [values[endpoint] for endpoint in ENDPOINTS],
                width,
                label=name,
                color="lightgray" if name == LIMIT else None,
            )
            axis.bar_label(drawn, fmt="{:,.0f}", fontsize=6, rotation=90, padding=2)
        axis.set_title(database)
        axis.set_ylabel("requests per second (log)")
        axis.set_yscale("log")
        axis.set_ylim(top=axis.get_ylim()[1] * 2)
        middle = 0.4 - width / 2
        axis.set_xticks([place + middle for place in range(len(ENDPOINTS))], ENDPOINTS)
        axis.legend(fontsize=7, ncols=len(bars), loc="upper center")
    figure.savefig(plot, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
