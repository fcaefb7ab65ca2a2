"""Markdown of the sections, and the two places where it and HTML meet: blocks of HTML, and tables."""

import re

from markdown_it import MarkdownIt
from markupsafe import Markup

MARKDOWN = MarkdownIt("commonmark", {"html": True, "typographer": True})
MARKDOWN.enable(["table", "replacements", "smartquotes"])


def markdown(text: str, inline: bool = False) -> Markup:
    return Markup(MARKDOWN.renderInline(text.strip()) if inline else MARKDOWN.render(text))


def in_one_block(html: str) -> Markup:
    """Drop empty lines, at which Markdown would take an HTML block to end."""
    return Markup("\n\n" + re.sub(r"\n\s*\n", "\n", html.strip()) + "\n\n")


def with_headers(table: str) -> Markup:
    """Mark the head of each column and, but in columns of numbers, of each row; an empty head is a plain cell."""
    table = re.sub(r"<th( style=\"[^\"]*\")?></th>", r"<td\1></td>", table)
    table = table.replace("<th>", '<th scope="col">').replace("<th ", '<th scope="col" ')
    return Markup(re.sub(r'<tr>\n<td( style="text-align:left")?>(.+?)</td>', r'<tr>\n<th scope="row"\1>\2</th>', table))
