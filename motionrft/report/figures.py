"""A publication's figures beside a run's own: one row a figure, what it shows, what was printed, what was measured."""

from collections.abc import Sequence
from html import escape

from motionrft.report.content import Figure


def figures_html(figures: Sequence[Figure]) -> str:
    """The section of the page; empty without figures."""
    if not figures:
        return ""
    rows = "".join(
        f'<tr><th scope="row">Figure {escape(figure.number)}</th><td>{escape(figure.about)}</td>'
        f"<td>{escape(figure.paper)}</td><td>{escape(figure.here)}</td></tr>"
        for figure in figures
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("", "what it shows", "the article", "this run")
    )
    return (
        f'<section><h2>The article’s figures</h2><div class="scroll"><table class="facts figures">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
