"""What CGI (RFC 3875), FastCGI, SCGI and uwsgi share, pure: the meaning of variables, and a response's head.

limits      how large variables may be
request     from variables to a request's head
paths       SCRIPT_NAME and PATH_INFO, as web servers split them
response    response heads, as programs write them
"""

from __future__ import annotations

from wsgikit.wire.cgi.limits import VariableLimits
from wsgikit.wire.cgi.paths import mend_slashes, quote_path, split_path, unquote_path
from wsgikit.wire.cgi.request import Variables, read_request
from wsgikit.wire.cgi.response import CgiResponse, parse_cgi_response, status_line

__all__ = [
    "CgiResponse",
    "VariableLimits",
    "Variables",
    "mend_slashes",
    "parse_cgi_response",
    "quote_path",
    "read_request",
    "split_path",
    "status_line",
    "unquote_path",
]
