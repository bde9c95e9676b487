"""The sections as one HTML page that loads nothing from outside."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from trainer.reporting.section import Section

_templates = Environment(
    loader=PackageLoader("trainer.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole document. Everything from a summary is escaped by the templates."""
    return _templates.get_template("report.html").render(title=title, sections=sections)


def drawing(template: str, **values: object) -> str:
    """One of the SVG templates, filled and escaped in the same way."""
    return _templates.get_template(template).render(**values)
