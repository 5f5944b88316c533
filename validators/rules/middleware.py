"""What middleware has to obey beyond being an app and a server at once, M01-M28. Data only; columns as in `Rule`."""

from __future__ import annotations

from wsgikit.validators.rules.model import Rule

# fmt: off
MIDDLEWARE = (
    Rule("M01", "must", "both sides", "request peer", "pep",
         "Middleware obeys the rules of an app towards the server and those of a server towards the app it wraps."),
    Rule("M02", "must not", "start", "call peer", "pep",
         "Middleware sends no hop-by-hop header of its own."),
    Rule("M03", "must not", "length", "call peer", "pep",
         "Middleware applies no transfer coding."),
    Rule("M04", "must not", "buffering", "peer", "pep",
         "Middleware holds no block back: what the app gave goes on before the next one is asked for."),
    Rule("M05", "must not", "blocks", "peer", "pep",
         "Middleware asks the app for at most one block for each one it is asked for itself."),
    Rule("M06", "must", "blocks", "peer", "pep",
         "Middleware gives at least one block, if need be an empty one, for each block of the app.",
         "This makes empty blocks before start_response legal: middleware that still waits has nothing else to "
         "give."),
    Rule("M07", "must", "blocks", "peer", "pep",
         "Middleware returns its iterable as soon as the app has returned one, and does not begin to read it "
         "before."),
    Rule("M08", "must not", "blocks", "peer", "pep",
         "What the app gave as a block is never sent by the server's write()."),
    Rule("M09", "may", "blocks", "peer", "pep",
         "The server's write() carries only what the app sent by the middleware's own write().", level="must"),
    Rule("M10", "must", "details", "peer", "pep",
         "Middleware calls close() of the app's iterable: at the end, after errors of the app or its own, and when "
         "it is itself closed early.",
         "Where the middleware raises instead of returning, because the server's start_response refused, nobody else "
         "can close; the PEP does not name that case, and it is a warning."),
    Rule("M11", "derived", "details", "peer", "recommended",
         "Middleware closes once, and the object the app returned rather than its iterator."),
    Rule("M12", "must", "start", "peer", "pep",
         "Middleware's start_response takes exc_info, and passes it on by position."),
    Rule("M13", "must", "start; write", "peer", "pep",
         "Middleware's start_response returns a write() that works, and applies the same transformation."),
    Rule("M14", "should", "start", "peer", "recommended",
         "Middleware keeps no reference to exc_info after start_response has returned."),
    Rule("M15", "must", "details", "call peer", "pep",
         "Middleware gives the app an environ of type dict itself."),
    Rule("M16", "must not", "details", "peer", "pep",
         "Middleware does not count on the app having called start_response before the first block."),
    Rule("M17", "must not", "details", "peer", "pep",
         "Middleware uses iteration, len() and close() of the app's iterable and no other attribute."),
    Rule("M18", "must", "details", "peer", "pep",
         "Where len() of middleware's iterable works, it is the number of blocks that come."),
    Rule("M19", "derived", "length; RFC 9110 8.6", "peer", "http",
         "Middleware that changes the body corrects or removes Content-Length."),
    Rule("M20", "derived", "start; RFC 9110 5.1", "peer", "recommended",
         "Middleware looks at header names without regard to case."),
    Rule("M21", "should", "extensions", "human", "recommended",
         "Middleware offers what it has parsed as functions of environ rather than as values put into it."),
    Rule("M22", "derived", "errors", "peer", "recommended",
         "Middleware that keeps an exc_info to itself takes care of the error body that the app then sends."),
    Rule("M23", "must", "streams", "call peer", "pep",
         "Where middleware replaces wsgi.input or wsgi.errors, the replacement has all the methods."),
    Rule("M24", "derived", "url; RFC 3875 4.1.13", "peer", "recommended",
         "Where middleware moves the border between SCRIPT_NAME and PATH_INFO, the two together stay the same."),
    Rule("M25", "derived", "file", "peer", "recommended",
         "Middleware treats what file_wrapper made as any iterable, and hands on the same object when it changes "
         "nothing."),
    Rule("M26", "derived", "start", "peer", "recommended",
         "Middleware keeps no header list for later responses: the server may change the one it got."),
    Rule("M27", "should", "both sides", "peer", "recommended",
         "The environ that the app sees differs from the server's only where that is the middleware's purpose; the "
         "server's own stays as it was."),
    Rule("M28", "must not", "features", "peer", "pep",
         "Middleware does not act on hop-by-hop headers of the request."),
)
