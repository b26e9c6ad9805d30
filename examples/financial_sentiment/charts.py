"""The report's charts as SVG that stands in an HTML file: no script, nothing from elsewhere."""

from __future__ import annotations

import sys
from typing import Any

import pygal
from pygal.etree import etree
from pygal.style import Style

# pygal leaves a finder of an old kind behind, at which every later import of what is not there warns
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "PluginImportFixer"]

FONT = 'system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif'
GOOD, CALM, BAD, LINE = "#1a7f4b", "#8a94a3", "#c2362b", "#1f5fa8"
LONGEST_NAME = 24

STYLE = Style(
    background="#ffffff", plot_background="#ffffff", foreground="#1c2430", foreground_strong="#1c2430",
    foreground_subtle="#5a6675", font_family=FONT, label_font_size=13, major_label_font_size=13,
    legend_font_size=13, value_font_size=12, colors=(LINE, GOOD, CALM, BAD), opacity=".9", transition="0s",
)  # fmt: skip
COMMON = {
    "js": [],
    "style": STYLE,
    "width": 860,
    "show_legend": True,
    "legend_at_bottom": True,
    "disable_xml_declaration": True,
    "no_prefix": False,
    "margin": 12,
    "print_values": False,
}


def over_time(days: list[dict[str, Any]]) -> str:
    """Draw the mean score of each day, and how many documents were positive and negative."""
    chart = pygal.Line(
        **COMMON, height=340, range=(-1, 1), x_label_rotation=40 if len(days) > 7 else 0,
        show_minor_x_labels=False, dots_size=4, y_labels=[-1, -0.5, 0, 0.5, 1], legend_box_size=12,
    )  # fmt: skip
    labels = [day["day"] for day in days]
    chart.x_labels = labels
    chart.x_labels_major = labels[:: max(1, len(labels) // 14)]
    chart.add("mean score, from -1 (bad) to 1 (good)", [day["mean_score"] for day in days])
    return _svg(chart)


def by_name(rows: list[dict[str, Any]], name: str) -> str:
    """Draw how many documents of each name are positive, neutral and negative."""
    style = Style(**{**_values(STYLE), "colors": (GOOD, CALM, BAD)})
    chart = pygal.HorizontalStackedBar(
        **{**COMMON, "style": style}, height=110 + 34 * max(len(rows), 1), legend_box_size=12
    )
    shown = rows[::-1]  # drawn from below
    chart.x_labels = [_short(str(row[name])) for row in shown]
    for sentiment in ("positive", "neutral", "negative"):
        chart.add(sentiment, [row[sentiment] for row in shown])
    return _svg(chart)


def _values(style: Style) -> dict[str, Any]:
    return {key: value for key, value in vars(style).items() if not key.startswith("_")}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _svg(chart: Any) -> str:
    """Return the drawing without the scripts that pygal puts in."""
    tree = chart.render_tree()
    for parent in list(tree.iter()):
        for child in list(parent):
            if str(child.tag).rsplit("}", 1)[-1] == "script":
                parent.remove(child)
    return str(etree.tostring(tree, encoding="unicode"))
