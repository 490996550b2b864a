"""What credentials look like by themselves, whatever stands around them: the one table of their shapes.

Masking goes by it, the scanner of homes, and placeholders, which keep what tells the kind. Sources: what the providers
say of their tokens, and the rules of https://github.com/gitleaks/gitleaks (``config/gitleaks.toml``).
"""

from __future__ import annotations

from dataclasses import dataclass

_AFRESH = r"(?:(?<![\w.\\-])|(?<=\\[nrt]))"
"""Where a word begins, also behind the escape of a line's end, which itself ends in a letter."""


@dataclass(frozen=True)
class SecretShape:
    """A kind of credential.

    Attributes:
        kind: whose it is.
        pattern: of the whole of it; linear in the text, for ASCII.
        prefix: pattern of its begin, if that tells the kind and is no secret.
    """

    kind: str
    pattern: str
    prefix: str = ""


SHAPES = (
    SecretShape("Discord bot", rf"{_AFRESH}[A-Za-z\d_-]{{23,28}}\.[\w-]{{6,7}}\.[\w-]{{27,}}"),  # id, time, signature
    SecretShape("Discord webhook", r"(?<=/api/webhooks/)\d+/[\w-]{20,}"),
    SecretShape("Slack", r"xox[abeoprs]-[\w-]{10,}", r"xox[abeoprs]-"),
    SecretShape("Slack app", r"xapp-[\w-]{10,}", r"xapp-"),
    SecretShape("Slack webhook", r"(?<=hooks\.slack\.com/)\w+/[\w/]{15,}"),
    SecretShape("Telegram bot", r"(?<!\d)\d{8,10}:AA[\w-]{33}"),
    SecretShape("GitHub", r"gh[oprsu]_[A-Za-z\d]{20,}", r"gh[oprsu]_"),
    SecretShape("GitHub, fine-grained", r"github_pat_\w{20,}", r"github_pat_"),
    SecretShape("GitLab", r"glpat-[\w-]{20,}", r"glpat-"),
    SecretShape(
        "Anthropic and OpenAI",
        rf"{_AFRESH}sk-(?=[\w-]*?[A-Z\d])[\w-]{{20,}}",
        r"sk-ant-(?:[a-z]{2,9}\d\d-)?|sk-proj-|sk-",
    ),
    SecretShape("xAI", r"xai-[A-Za-z\d]{40,}"),
    SecretShape("Groq", r"gsk_[A-Za-z\d]{40,}"),
    SecretShape("Google API key", r"AIza[\w-]{35}", r"AIza"),
    SecretShape("Google access token", r"ya29\.[\w-]{20,}", r"ya29\."),
    SecretShape("AWS access key", r"(?<![A-Z\d])A[KS]IA[A-Z\d]{16}(?![A-Z\d])", r"A[KS]IA"),
    SecretShape("npm", r"npm_[A-Za-z\d]{36}", r"npm_"),
    SecretShape("age", r"AGE-SECRET-KEY-1[0-9A-Z]+", r"AGE-SECRET-KEY-1"),
    SecretShape(
        "JSON web token",
        r"(?:(?<![\w-])(?:(?!\beyJ)[\w-])*+|(?<=\\[nrt]))"  # the word before it stays
        r"(?P<jwt>eyJ[\w-]{10,}+\.[\w-]{10,}+\.[\w-]*+)",
        r"eyJ",
    ),
    SecretShape("JSON web token, behind a word", r"eyJ[\w-]{10,1024}+\.eyJ[\w-]{10,}+\.[\w-]*+"),
)

LOOKS_SECRET = f"(?a:{'|'.join(shape.pattern for shape in SHAPES)})"
"""Any of them; group "jwt" is where a token in three parts begins."""
PREFIX = "|".join(shape.prefix for shape in SHAPES if shape.prefix)
"""What a credential may begin with that is no secret."""
