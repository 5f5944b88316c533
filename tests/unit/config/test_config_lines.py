"""Which line a key stands on."""

from __future__ import annotations

import textwrap

from wsgikit.config.lines import lines_of

TEXT = textwrap.dedent(
    '''\
    # a comment
    bind = [
      "a", # ]
      "b",
    ]
    tls = [{ names = ["x"], cert = "a" },
           { cert = "b" }]

    [[mount]]   # the first
    path = "/"
    [[mount.use]]
    middleware = """
    [[mount]]
    """
    level = 5
    [[mount]]
    a.b.c = 1
    [[mount.use]]
    middleware = "c"
    [upstream."a.b"]
    balance = "x"
    '''
)


def test_keys_are_found_in_tables_repeated_tables_and_inline_tables() -> None:
    found = lines_of(TEXT)
    assert {way: found[way] for way in EXPECTED} == EXPECTED


EXPECTED = {
    ("bind",): 2,
    ("tls", 1, "cert"): 6,
    ("mount", 0): 9,
    ("mount", 0, "path"): 10,
    ("mount", 0, "use", 0): 11,
    ("mount", 0, "use", 0, "middleware"): 12,
    ("mount", 0, "use", 0, "level"): 15,
    ("mount", 1): 16,
    ("mount", 1, "a", "b", "c"): 17,
    ("mount", 1, "use", 0, "middleware"): 19,
    ("upstream", "a.b"): 20,
    ("upstream", "a.b", "balance"): 21,
}


def test_a_table_that_is_only_part_of_a_header_has_its_line() -> None:
    found = lines_of("a = 1\n[[mounts]]\n[tool.wsgikit]\n")
    assert (found[("mounts",)], found[("tool",)]) == (2, 3)


def test_what_is_not_toml_is_skipped() -> None:
    assert lines_of("this is = = not TOML\na = 1\n")[("a",)] == 2
