"""What a rule is. Owns the vocabulary (roles, levels, profiles, methods, PEP sections); knows no rule by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

PROFILES = ("pep", "recommended", "http", "pedantic")
"""Each profile contains the ones before it: what the PEP demands; + what it advises or what follows from its text;
+ what HTTP and CGI demand; + matters of taste and contested points."""

PROFILE_TEXT = {
    "pep": "what PEP 3333 literally demands",
    "recommended": "and what it advises, or what follows from its text",
    "http": "and what HTTP (RFC 9110, RFC 9112) and CGI (RFC 3875) demand of the same behaviour",
    "pedantic": "and advice, matters of taste and contested points",
}

METHODS = {
    "call": "a check at the moment of a call",
    "request": "a state machine over one whole request",
    "peer": "an in-process fake server or fake app",
    "probe": "a probe app under the real server, with an ordinary client",
    "raw": "a raw socket client that controls bytes and timing",
    "human": "reading documentation or code; no program can judge it",
}

ROLES = {"A": "app", "S": "server", "M": "middleware", "H": "http"}

# Short names used in the data modules -> title and anchor of the PEP's section.
SECTIONS = {
    "overview": ("Specification Overview", "specification-overview"),
    "strings": ("A Note On String Types", "a-note-on-string-types"),
    "app side": ("The Application/Framework Side", "the-application-framework-side"),
    "server side": ("The Server/Gateway Side", "the-server-gateway-side"),
    "both sides": ("Middleware: Components that Play Both Sides", "middleware-components-that-play-both-sides"),
    "details": ("Specification Details", "specification-details"),
    "environ": ("environ Variables", "environ-variables"),
    "streams": ("Input and Error Streams", "input-and-error-streams"),
    "start": ("The start_response() Callable", "the-start-response-callable"),
    "length": ("Handling the Content-Length Header", "handling-the-content-length-header"),
    "buffering": ("Buffering and Streaming", "buffering-and-streaming"),
    "blocks": ("Middleware Handling of Block Boundaries", "middleware-handling-of-block-boundaries"),
    "write": ("The write() Callable", "the-write-callable"),
    "unicode": ("Unicode Issues", "unicode-issues"),
    "errors": ("Error Handling", "error-handling"),
    "expect": ("HTTP 1.1 Expect/Continue", "http-1-1-expect-continue"),
    "features": ("Other HTTP Features", "other-http-features"),
    "threads": ("Thread Support", "thread-support"),
    "extensions": ("Server Extension APIs", "server-extension-apis"),
    "configuration": ("Application Configuration", "application-configuration"),
    "url": ("URL Reconstruction", "url-reconstruction"),
    "file": ("Optional Platform-Specific File Handling", "optional-platform-specific-file-handling"),
    "questions": ("Questions and Answers", "questions-and-answers"),
}

_RFC = re.compile(r"RFC (\d+)(?: ([0-9.]+))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement.

    The fields, in the order of the data modules: `key` ("A33"); `word`, the normative word of the source in lower case,
    or "derived" where it follows without being said; `section`, a name from `SECTIONS` or "RFC 9112 6.3", several
    separated by "; "; `methods`, names from `METHODS` separated by spaces; `profile`, the smallest that holds the rule;
    `text`; `position`, what we decided where the source is unclear or wrong ("" otherwise); `level`, "must", "should"
    or "advice", worked out from the word when left empty.
    """

    key: str
    word: str
    section: str
    methods: str
    profile: str
    text: str
    position: str = ""
    level: str = ""

    def __post_init__(self) -> None:
        if not self.level:
            object.__setattr__(self, "level", _level(self.word, self.profile))

    @property
    def id(self) -> str:
        """The stable public id: WSGI-A33, WSGI-S14, WSGI-M06, HTTP-31."""
        return f"HTTP-{self.key[1:]}" if self.key[0] == "H" else f"WSGI-{self.key}"

    @property
    def role(self) -> str:
        """Who has to obey: app, server, middleware, or http (a server, on the wire)."""
        return ROLES[self.key[0]]

    @property
    def how(self) -> tuple[str, ...]:
        """The methods that can judge it, cheapest first."""
        return tuple(self.methods.split())

    @property
    def human(self) -> bool:
        """Whether only a human can judge it. Such a rule is listed and never reported as passed."""
        return self.how == ("human",)

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """(title, URL) of every section the rule rests on."""
        return tuple(_source(name) for name in self.section.split("; "))


def _level(word: str, profile: str) -> str:
    if profile == "pedantic" or word == "may":
        return "advice"
    return "should" if word.startswith("should") else "must"


def _source(name: str) -> tuple[str, str]:
    if name in SECTIONS:
        title, anchor = SECTIONS[name]
        return f"PEP 3333, {title}", f"https://peps.python.org/pep-3333/#{anchor}"
    match = _RFC.fullmatch(name)
    if match is None:
        return name, ""
    number, section = match.groups()
    anchor = f"#section-{section}" if section else ""
    return name, f"https://www.rfc-editor.org/rfc/rfc{number}.html{anchor}"
