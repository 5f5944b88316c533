#!/bin/sh
# Any program that may be executed, in any language.
printf 'Content-Type: text/plain\n\n'
printf 'Hello from a shell, %s.\n' "${QUERY_STRING:-whoever you are}"
