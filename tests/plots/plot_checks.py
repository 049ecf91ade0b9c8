"""What the tests measure on a drawn figure: texts and where they lie, colors and how they differ."""

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def panels(ax: Axes) -> list[Axes]:
    """The Axes and its insets."""
    return [ax, *ax.child_axes]


def named(ax: Axes, gid: str) -> list:
    """All artists with this role, in the Axes and its insets."""
    return ax.findobj(lambda artist: artist.get_gid() == gid)


def points(ax: Axes, gid: str = "estimate") -> list[tuple[float, float]]:
    """Where the points with this role lie."""
    return [(float(x), float(y)) for line in named(ax, gid) for x, y in zip(*line.get_data(), strict=True)]


def whiskers(ax: Axes) -> list[tuple[float, float, float, float]]:
    """Ends of all intervals: x and y of the one, x and y of the other."""
    return [tuple(map(float, segment.ravel())) for lines in named(ax, "interval") for segment in lines.get_segments()]


def boxes(ax: Axes, gid: str) -> list[Bbox]:
    """Rectangles with this role, as far as they are drawn together."""
    return [path.get_extents() for collection in named(ax, gid) for path in collection.get_paths()]


def texts(ax: Axes) -> list[Text]:
    """All texts that are drawn, those of axes in view included."""
    found: list[Text] = []
    for panel in panels(ax):
        found += panel.texts
        found += panel.get_legend().get_texts() if panel.get_legend() else []
        for axis in (panel.xaxis, panel.yaxis) if panel.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9]
            found += [axis.label, *(tick.label1 for tick in ticks)]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def words(ax: Axes) -> str:
    """Everything that is written on the picture, with plain blanks."""
    return "\n".join(text.get_text() for text in texts(ax)).replace("\N{NO-BREAK SPACE}", " ")


def extents(ax: Axes, dpi: float = 100) -> dict[Text, Bbox]:
    """Where every text lies [pixels]."""
    figure = ax.get_figure(root=True)
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return {text: text.get_window_extent(canvas.get_renderer()) for text in texts(ax)}


def overlaps(ax: Axes) -> list[tuple[str, str]]:
    """Pairs of texts that run into each other."""
    boxes = [(text.get_text(), box.padded(-1)) for text, box in extents(ax).items()]
    return [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if Bbox.intersection(a, b)]


def outside(ax: Axes, rectangle: Bbox) -> list[str]:
    """Texts that leave a rectangle, by more than a pixel."""
    boxes = extents(ax)
    page = rectangle.padded(1)
    return [
        text.get_text()
        for text, box in boxes.items()
        if not (page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1))
    ]


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2.2, which is also how light a color prints in gray."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(one: str, other: str = "white") -> float:
    """Contrast ratio of WCAG 2.2, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
