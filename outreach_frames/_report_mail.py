"""
A report as a mail that mail programs show: tables and styles in the text, pictures as parts of the mail.

Mail programs drop style sheets and scripts, and several (Gmail and Outlook among them) do not show pictures in
``data:`` addresses. Pictures are therefore parts of their own, which the text names by ``cid:`` (RFC 2392), as in the
mail that Python's documentation of `email` makes.
"""

import base64
import binascii
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import make_msgid

from outreach_frames._extras import required

with required("report", "Reports by mail", "bs4"):
    from bs4 import BeautifulSoup, Comment, Tag

_WIDTH = 640
"""Of the text [pixels]: what mail programs show without scrolling."""

_FONT = "font-family: Helvetica, Arial, sans-serif; color: #1f2933;"
_STYLES = {
    "h1": f"{_FONT} font-size: 24px; line-height: 30px; margin: 0 0 8px;",
    "h2": f"{_FONT} font-size: 18px; line-height: 24px; margin: 28px 0 6px; padding-top: 14px; "
    "border-top: 1px solid #e4e7eb;",
    "h3": f"{_FONT} font-size: 15px; line-height: 20px; margin: 20px 0 4px;",
    "p": f"{_FONT} font-size: 14px; line-height: 21px; margin: 0 0 12px;",
    "ul": f"{_FONT} margin: 0 0 14px; padding: 0 0 0 18px;",
    "li": f"{_FONT} font-size: 14px; line-height: 21px; margin: 0 0 8px;",
    "table": f"{_FONT} font-size: 12px; line-height: 17px; margin: 8px 0 14px;",
    "th": "text-align: left;",
    "pre": "font-family: monospace; font-size: 12px; white-space: pre-wrap;",
    "a": "color: #00795a;",
    "img": "display: block; width: 100%; height: auto; border: 0; margin: 8px 0 14px;",
}
_ATTRIBUTES = frozenset({"alt", "colspan", "href", "rowspan", "scope", "src", "style"})
"""Attributes that stay."""

_DROPPED = ("details", "form", "iframe", "link", "meta", "object", "script", "style", "svg", "title")
"""What is left out, with all that is in it; the appendix is folded, which no mail program does."""

_MARKS = {"h1": "# ", "h2": "\n## ", "h3": "\n### ", "li": "- "}


def as_mail(title: str, body: str) -> bytes:
    """
    Turn the body of a report into a mail without sender and recipient, in the form of ``.eml`` files.

    Parameters
    ----------
    title
        The report's title. The subject is this, with the organization where the head of the report names it.
    body
        HTML; its pictures are PNG files in ``data:`` addresses.

    Notes
    -----
    Parts: plain text, or else HTML with the pictures related to it. There is neither script nor style sheet nor
    anything to fetch. Lines end as ``sendmail -t`` and ``msmtp -t`` expect.
    """
    soup = BeautifulSoup(body, "html.parser")
    for tag in soup.find_all(_DROPPED):
        tag.decompose()
    for comment in soup.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    whose = soup.select_one(".outreach-head strong")
    pictures = {}
    for picture in soup.find_all("img"):
        content = _png(str(picture.get("src", "")))
        if content is None:
            picture.decompose()
            continue
        address = make_msgid(domain="report.invalid")  # a domain that is nobody's, and not this machine's name
        picture["src"] = f"cid:{address[1:-1]}"
        pictures[address] = content
    for tag in soup.find_all(recursive=True):
        _style_tag(tag)
    mail = EmailMessage()
    mail["Subject"] = " – ".join([title, *([whose.get_text(strip=True)] if whose else [])])
    mail.set_content("\n".join(_lines(soup)).strip() + "\n")
    mail.add_alternative(_page(soup), subtype="html")
    text = mail.get_body(("html",))
    for number, (address, content) in enumerate(pictures.items(), 1):
        text.add_related(content, "image", "png", cid=address, filename=f"picture-{number}.png", disposition="inline")  # type: ignore[union-attr]
    return mail.as_bytes()


def _png(source: str) -> bytes | None:
    kind, _, text = source.partition(",")
    if kind != "data:image/png;base64":
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return None


def _style_tag(tag: Tag) -> None:
    """Keep the attributes that a mail may have, and add the style of the tag."""
    style = " ".join(filter(None, (_STYLES.get(tag.name, ""), str(tag.get("style", "")))))
    attributes = {name: value for name, value in tag.attrs.items() if name in _ATTRIBUTES and name != "style"}
    if not str(attributes.get("href", "https:")).startswith("https:"):
        del attributes["href"]
    if tag.name == "img":
        attributes["width"] = str(_WIDTH)  # Outlook reads no style for it
    tag.attrs = {**attributes, **({"style": style} if style else {})}


def _page(soup: BeautifulSoup) -> str:
    """Put the text into a table of one cell, the one way to give it a width that all programs know."""
    return (
        '<!doctype html>\n<html lang="en">\n<body style="margin: 0; padding: 0; background: #ffffff;">\n'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center">\n'
        f'<table role="presentation" width="{_WIDTH}" cellpadding="0" cellspacing="0" border="0" '
        f'style="max-width: {_WIDTH}px;"><tr><td style="padding: 16px;" align="left">\n'
        f"{soup.decode(formatter='minimal')}\n</td></tr></table>\n</td></tr></table>\n</body>\n</html>\n"
    )


def _lines(soup: BeautifulSoup) -> Iterator[str]:
    """Write the text without HTML: headings, paragraphs and points; rows of tables, with bars between cells."""
    for tag in soup.find_all([*_MARKS, "p", "tr", "pre", "img"]):
        if tag.name == "img":
            yield f"[Picture: {tag.get('alt') or 'no description'}]\n"
        elif tag.name == "tr":
            yield " | ".join(" ".join(cell.get_text(" ").split()) for cell in tag.find_all(["th", "td"]))
        elif text := tag.get_text(" ") if tag.name != "pre" else tag.get_text():
            words = " ".join(text.replace("\N{WORD JOINER}", "").split())
            yield _MARKS.get(tag.name, "") + words + ("" if tag.name == "li" else "\n")
