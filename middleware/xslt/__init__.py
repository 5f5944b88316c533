"""XSLT: XML and its stylesheet as pages, made on the server.

    Use(XSLT, stylesheet="styles/page.xsl")               [[mount.use]]
                                                          middleware = "xslt"
                                                          stylesheet = "styles/page.xsl"

    Use(XSLT, follow="app")                               # what browsers did: the document names its stylesheet

Browsers give up XSLT (Chromium: off by default from M158, November 2026). This layer does it for any WSGI app, folder
or upstream inside it. Clients that prefer XML to HTML, such as feed readers, get the XML. docs/xslt.md tells how.

Which stylesheet
    stylesheet    a file; or several, each applied to the result of the one before
    rules         tables, the first that fits is taken, before `stylesheet`; each has a `stylesheet` and any of
                  path = "/feeds/*.xml" (a star stands for anything but a slash, two stars for anything),
                  types = ["application/rss+xml"], root = "{http://www.w3.org/2005/Atom}feed" (or a list; a name
                  without braces in any namespace), params = { ... } (added to the common ones)
    follow        <?xml-stylesheet?> of the document, which goes before the rules: "no"; "folder", the URLs of the site
                  are files below `folder`; "app", the app is asked for it, inside the process and without the client's
                  cookies ("no"). Never over a network
    folder        for follow = "folder"
    depth         for follow = "app": requests within each other, for imports of apps with such layers (3)
    params        values for xsl:param: a text, or a table with one of value, query, header, environ = the name of what
                  holds it, and maybe default. Always texts; { xpath = "..." } is an expression that you write

Which responses
    types         media types (["text/xml", "application/xml", "*/*+xml"]; the last one is all XML but images and XHTML)
    html          "libxml2" or "html5lib" (a browser's tree, slower; `pip install html5lib`): HTML is transformed, too,
                  e.g. with a theme; "" for not ("")
    statuses      statuses ([200, 203])
    negotiate     look at Accept (true)
    undecided     for clients that like both the same (curl, Accept: */*): "transform", "source", or "auto": the source
                  of RSS, Atom and RDF feeds, the result of everything else ("auto")
    format_parameter    `?format=xml` and `?format=html` go before Accept; "" for none ("format")
    opt_out       a response field with which the app says "off" for a response ("X-XSLT")
    head          HEAD: "headers", the app answers HEAD, Content-Type and ETag are the result's and left out where only
                  the document decides, as Content-Length always is; "get", the app is asked by GET and the result is
                  made, so that the head is exact ("headers")

    Left alone are 1xx, 204, 206, 304, redirects and errors, `Cache-Control: no-transform`, and codings that nobody here
    can undo. Range is not passed on for documents; results have `Accept-Ranges: none`.

Failures
    on_error      "500" or "502": a page; "pass": the source as it is ("500")
    too_large     a source past a limit: "pass", "413", "500" or "502" ("pass")
    debug         tell the client file, line, column and reason: for development alone (false)
    messages      level at which xsl:message is logged: "debug", "info", "warning", or "off" ("info")
    logger        name of the logger ("wsgikit.xslt")

    <xsl:message terminate="yes">404 Not found</xsl:message> makes that status; any from 400 to 599. A stylesheet that
    cannot be compiled stops the start; one that is broken later leaves the last good version in use.

Speed
    check         how often files are looked at for changes ("1s"); imports and document() count
    sheets        most compiled stylesheets to keep (100)
    copies        how many threads can use one stylesheet at once; each needs a compiled copy (16). Of all that
                  transform, only as many as there are cores run at once, not counting what takes longer than 50 ms
    results       bytes of results to keep, e.g. "64MiB"; 0 for none (0). Kept by content, stylesheets and parameters,
                  and by ETag where the app sends a strong one to everybody: such a source is not even read

    A result's ETag is made of the source's, the stylesheets and the parameters, so If-None-Match is answered without
    transforming, by the app itself where it knows its ETag. Without an ETag the source's content stands for it.

Safety
    roots         folders that stylesheets, imports and document() may read (those of the configured stylesheets)
    uris          prefixes of URIs that stand for folders in the roots, { "http://docbook.example/xsl/" = "/usr/..." }
    allow         "dynamic" (dyn:evaluate), "regexp" (EXSLT), "extensions" (functions that a program registered),
                  "entities" (a DTD in stylesheets); nothing by default
    dtd           DOCTYPE of sources: "refuse"; "unread", it may name a DTD, which is never read, but declare nothing;
                  "internal", it may declare entities ("unread")
    max_input     bytes of a source, decoded ("2MiB")
    max_nodes     nodes and attributes (1000000); max_depth: elements within each other (256, the most that libxml2
                  takes); max_output: bytes of a result ("16MiB"); max_ratio: how often a compressed source may unfold
                  (100)
    isolate       transform in other processes, for stylesheets that are not trusted (false)
    deadline      for these: seconds for a transformation, after which the process is stopped ("10s"); memory: bytes
                  for each ("512MiB"); processes: most at once in each worker (2); a mistake without isolate
    engine        "lxml" (XSLT 1.0), or "saxon" (XSLT 3.0, JSON; `pip install saxonche`) ("lxml")

    External entities, XInclude, networks and written files are refused always.

Streaming: a transformed response is collected first, with an empty block given on for each that comes; all others go
through block by block. Put Compress outside: it is told by an order check. Kept stylesheets and results are each
worker's own. Other servers: nothing is lost; those that send the head with an empty block (gunicorn, uWSGI, Werkzeug,
Granian, wsgiref) get no block before the result; where wsgi.file_wrapper is no class, files have no Content-Length.
"""

from wsgikit.middleware.xslt.app import XSLT

__all__ = ["XSLT"]
