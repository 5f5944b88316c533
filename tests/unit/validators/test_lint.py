"""The lint's manners: what it returns, what it leaves alone, and how it says what it found."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsgikit.errors import ConfigError
from wsgikit.validators import Lint, LintError, LintWarning, validator
from wsgikit.validators.app.driver import Conduct, Conversation, Wrapper
from wsgikit.validators.app.request import Request


def environ(**more: Any) -> dict[str, Any]:
    return Conversation(Request()).environ() | more


def start_response(status: str, headers: list[Any], exc_info: Any = None) -> Callable[[bytes], None]:
    return lambda data: None


def answering(result: Any, status: Any = "200 OK", headers: Any = ()) -> Callable[..., Any]:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return result

    return app


class TestTransparency:
    def test_len_is_kept(self) -> None:
        result = Lint(answering([b"a", b"b"]))(environ(), start_response)

        assert len(result) == 2

    def test_an_iterable_without_len_gets_none(self) -> None:
        result = Lint(answering(iter([b"a"])))(environ(), start_response)

        with pytest.raises(TypeError):
            len(result)

    def test_an_iterator_stays_one(self) -> None:
        result = Lint(answering(iter([b"a", b"b"])))(environ(), start_response)

        assert next(result) == b"a"
        assert list(result) == [b"b"]

    def test_environ_is_the_servers_own_dict_and_is_put_right_afterwards(self) -> None:
        seen: list[Any] = []

        def app(environ: Any, start_response: Any) -> Any:
            seen.append(environ)
            environ["left.by.app"] = 1
            start_response("200 OK", [])
            return [b""]

        given = environ()
        streams = given["wsgi.input"], given["wsgi.errors"]
        Lint(app)(given, start_response).close()

        assert seen[0] is given
        assert type(seen[0]) is dict
        assert (given["wsgi.input"], given["wsgi.errors"]) == streams
        assert given["left.by.app"] == 1

    def test_what_file_wrapper_made_is_returned_untouched(self) -> None:
        file = io.BytesIO(b"hello")

        def app(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            made = environ["wsgi.file_wrapper"](file)
            assert isinstance(made, environ["wsgi.file_wrapper"])
            return made

        given = environ(**{"wsgi.file_wrapper": Wrapper})
        result = Lint(app)(given, start_response)

        assert type(result) is Wrapper
        assert result.filelike is file
        assert given["wsgi.file_wrapper"] is Wrapper

    def test_what_a_function_as_file_wrapper_made_is_returned_untouched(self) -> None:
        made = [b"hello"]
        app = lambda environ, start: (start("200 OK", []), environ["wsgi.file_wrapper"](io.BytesIO()))[1]  # noqa: E731

        result = Lint(app)(environ(**{"wsgi.file_wrapper": lambda file: made}), start_response)

        assert result is made

    def test_close_is_added_and_calls_the_apps(self) -> None:
        class Blocks(list[bytes]):
            closed = 0

            def close(self) -> None:
                self.closed += 1

        blocks = Blocks([b"a"])
        result = Lint(answering(blocks))(environ(), start_response)
        result.close()

        assert blocks.closed == 1

    def test_other_attributes_stay_reachable(self) -> None:
        class Blocks(list[bytes]):
            filename = "page.html"

        result = Lint(answering(Blocks()))(environ(), start_response)

        assert result.filename == "page.html"
        assert not hasattr(result, "nothing_of_that_name")

    def test_exceptions_come_through(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            Lint(app)(environ(), start_response)

    def test_what_is_not_iterable_is_returned_as_it_is(self) -> None:
        assert Lint(answering(None))(environ(), start_response) is None

    def test_streams_do_what_they_can_beyond_the_pep(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            environ["wsgi.input"].seek(2)
            start_response("200 OK", [])
            return [environ["wsgi.input"].read()]

        result = Lint(app)(environ(**{"wsgi.input": io.BytesIO(b"hello")}), start_response)

        assert list(result) == [b"llo"]

    def test_a_failing_close_still_ends_the_request(self) -> None:
        class Blocks(list[bytes]):
            def close(self) -> None:
                raise OSError("disk")

        lint = Lint(answering(Blocks()))
        given = environ()
        stream = given["wsgi.input"]
        with pytest.raises(OSError, match="disk"):
            lint(given, start_response).close()
        lint.finish()

        assert lint.findings == ()
        assert given["wsgi.input"] is stream


class TestModes:
    def test_record_keeps_findings_with_place_case_and_reproducer(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            data = environ["wsgi.input"].read()
            start_response(b"200 OK", [])  # this line
            return [data]

        lint = Lint(app)
        Conversation(Request(method="POST", target="/x%20y?q=1", body=b"a\xffb")).run(lint)
        (finding,) = lint.findings

        assert (finding.rule, finding.case) == ("WSGI-A06", "POST /x%20y?q=1")
        assert finding.location is not None
        assert finding.location.path == __file__
        assert "# this line" in Path(__file__).read_text().splitlines()[finding.location.line - 1]
        assert finding.reproducer is not None
        assert finding.reproducer.raw.startswith(b"POST /x%20y?q=1 HTTP/1.1\r\nHost: localhost:8000\r\n")
        assert finding.reproducer.raw.endswith(b"\r\n\r\na\xffb")
        assert finding.reproducer.command.startswith("printf '\\141\\377\\142' | curl -i --path-as-is -X POST")

    def test_raise_raises_where_it_happens(self) -> None:
        with pytest.raises(LintError, match=r"WSGI-A06.*of type bytes") as caught:
            Lint(answering([b""], b"200 OK"), "raise")(environ(), start_response)

        assert isinstance(caught.value, AssertionError)
        assert caught.value.finding.rule == "WSGI-A06"

    def test_raise_does_not_raise_for_a_should(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            environ["wsgi.input"].read(100)
            start_response("200 OK", [])
            return [b""]

        lint = Lint(app, "raise")
        lint(environ(CONTENT_LENGTH="0"), start_response).close()

        assert [finding.rule for finding in lint.findings] == ["WSGI-A42"]

    def test_raise_cannot_be_swallowed_by_the_app(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            try:
                start_response("200", [])
            except Exception:
                pass
            return [b"all is well"]

        with pytest.raises(LintError, match="WSGI-A07"):
            Lint(app, "raise")(environ(), start_response)

    def test_raise_cannot_be_swallowed_inside_the_iterable(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            try:
                start_response("200", [])
            except Exception:
                yield b"all is well"

        with pytest.raises(LintError, match="WSGI-A07"):
            list(Lint(app, "raise")(environ(), start_response))

    def test_raise_after_the_app_returned_closes_what_it_returned(self) -> None:
        class Text(str):
            closed = False

            def close(self) -> None:
                Text.closed = True

        with pytest.raises(LintError, match="WSGI-A28"):
            Lint(answering(Text("hello")), "raise")(environ(), start_response)

        assert Text.closed

    def test_warn_warns_at_the_line_of_the_app(self) -> None:
        with pytest.warns(LintWarning, match="WSGI-A07") as caught:
            Lint(answering([b""], "200"), "warn")(environ(), start_response)

        assert caught[0].filename == __file__

    def test_log_logs_with_the_level_of_the_verdict(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "wsgikit.lint"):
            Lint(answering([b""], "200"), "log")(environ(), start_response)

        assert [(one.levelname, "WSGI-A07" in one.message) for one in caplog.records] == [("ERROR", True)]

    def test_the_validator_is_a_drop_in_that_raises(self) -> None:
        with pytest.raises(AssertionError):
            validator(answering([b""], "200"))(environ(), start_response)
        assert list(validator(answering([b"hello"]))(environ(), start_response)) == [b"hello"]

    @pytest.mark.parametrize(
        "options",
        [{"on_violation": "shout"}, {"profile": "strict"}, {"roles": ("client",)}, {"keep": 0}],
        ids=lambda options: next(iter(options)),
    )
    def test_wrong_options_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=next(iter(options))):
            Lint(answering([]), **options)

    def test_it_works_without_asserts(self) -> None:
        program = (
            "from wsgikit.validators import Lint\n"
            "from wsgikit.validators.specimens import BROKEN\n"
            "from wsgikit.validators.app.driver import Conversation\n"
            "apps = [one for one in BROKEN if one.key[0] == 'A' and one.seen_by == 'lint']\n"
            "for one in apps:\n"
            "    lint = Lint(one.subject, profile='pedantic')\n"
            "    Conversation(one.request, one.conduct).run(lint)\n"
            "    if one.key not in {f.rule[5:] for f in lint.findings}: raise SystemExit(one.name)\n"
            "print(len(apps), __debug__)\n"
        )
        done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=False)

        assert done.stdout.endswith("False\n"), done.stderr


class TestScope:
    def test_profiles_limit_what_is_found(self) -> None:
        app = answering([b""], headers=[("X-Tab", "a\tb"), ("Content-Length", "x")])
        found = {}
        for profile in ("pep", "http", "pedantic"):
            lint = Lint(app, profile=profile)
            lint(environ(), start_response)
            found[profile] = [finding.rule for finding in lint.findings]

        assert found == {"pep": [], "http": ["WSGI-A49"], "pedantic": ["WSGI-A16", "WSGI-A49"]}

    def test_roles_limit_who_is_judged(self) -> None:
        found = {}
        for role in ("app", "server"):
            lint = Lint(answering([b""], "200"), roles=(role,))
            lint(environ(SERVER_PORT=80), start_response)
            found[role] = [finding.rule for finding in lint.findings]

        assert found == {"app": ["WSGI-A07"], "server": ["WSGI-S37"]}

    def test_findings_are_bounded_and_the_rest_is_counted(self) -> None:
        lint = Lint(answering([b""], "200"), keep=3)
        for _ in range(10):
            lint(environ(), start_response).close()

        assert len(lint.findings) == 3
        assert lint.recorder.dropped == 7
        assert lint.report().notes == ("7 more findings were counted and not kept",)

    def test_one_response_repeats_no_rule_without_end(self) -> None:
        lint = Lint(answering([1] * 1000))
        list(lint(environ(), start_response))

        assert len(lint.findings) == 5

    def test_open_responses_are_bounded(self) -> None:
        lint = Lint(answering([b""]), keep=3)
        kept = [lint(environ(), start_response) for _ in range(10)]
        lint.finish()

        assert len(kept) == 10
        assert [finding.rule for finding in lint.findings] == ["WSGI-S13"] * 3

    def test_clear_forgets(self) -> None:
        lint = Lint(answering([b""], "200"))
        lint(environ(), start_response)
        lint.clear()
        lint.finish()

        assert lint.findings == ()

    def test_the_report_names_the_app(self) -> None:
        report = Lint(answering([b""], "200"), layer="x").report()

        assert (report.kind, report.target, report.profile) == ("lint", "app", "http")

    def test_threads_do_not_disturb_each_other(self) -> None:
        lint = Lint(answering([b"a", b"b"], "200"))
        gate = threading.Barrier(4)

        def client() -> None:
            gate.wait(10)
            for _ in range(50):
                result = lint(environ(), start_response)
                list(result)
                result.close()

        crew = [threading.Thread(target=client) for _ in range(4)]
        for one in crew:
            one.start()
        for one in crew:
            one.join()
        lint.finish()

        assert {finding.rule for finding in lint.findings} == {"WSGI-A07"}
        assert lint.recorder.counts["WSGI-A07"] == 200

    def test_a_clean_request_formats_no_message(self) -> None:
        class Loud:
            def __repr__(self) -> str:
                raise RuntimeError("formatted for nothing")

        lint = Lint(answering([b"hello"], headers=[("X", "y")]))
        result = lint(environ(**{"my.loud": Loud()}), start_response)
        list(result)
        result.close()

        assert lint.findings == ()

    def test_an_object_whose_repr_fails_is_no_reason_to_fail(self) -> None:
        class Loud:
            def __repr__(self) -> str:
                raise RuntimeError("no repr")

        lint = Lint(answering([Loud()]))
        list(lint(environ(), start_response))

        assert "whose repr() fails" in lint.findings[0].detail


class TestLifetimes:
    def test_nothing_is_judged_by_the_garbage_collector(self) -> None:
        lint = Lint(answering([b"a"]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            list(lint(environ(), start_response))

        assert lint.findings == ()

    def test_an_exception_of_exc_info_is_not_kept(self) -> None:
        import gc
        import weakref

        class Trouble(Exception):
            pass

        kept: list[weakref.ref[Trouble]] = []

        def app(environ: Any, start_response: Any) -> Any:
            try:
                raise Trouble("a bug")
            except Trouble as error:
                kept.append(weakref.ref(error))
                start_response("500 Oops", [], sys.exc_info())
            return [b"sorry"]

        result = Lint(app)(environ(), start_response)
        gc.collect()

        assert kept[0]() is None
        assert list(result) == [b"sorry"]

    def test_close_of_the_server_tells_s14_from_s13(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            yield b"begun"

        lint = Lint(app)
        next(iter(lint(environ(), start_response)))
        lint.finish()

        assert [finding.rule for finding in lint.findings] == ["WSGI-S13"]

    def test_a_response_that_is_never_closed_is_noticed_while_the_server_goes_on(self) -> None:
        lint = Lint(answering([b"a"]))
        kept = []
        for _ in range(4):
            kept.append(lint(environ(), start_response))
            list(kept[-1])

        assert [finding.rule for finding in lint.findings] == ["WSGI-S13"]

    def test_one_that_is_still_being_read_is_left_alone(self) -> None:
        lint = Lint(answering([b"a", b"b"]))
        open_one = iter(lint(environ(), start_response))
        next(open_one)
        for _ in range(10):
            lint(environ(), start_response).close()

        assert lint.findings == ()

    def test_a_second_lint_inside_sees_the_same(self) -> None:
        inner = Lint(answering(["text"]))
        outer = Lint(inner)
        list(outer(environ(), start_response))

        assert [finding.rule for finding in inner.findings] == [finding.rule for finding in outer.findings]

    def test_the_input_counts_every_way_of_reading(self) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            body = environ["wsgi.input"]
            parts = [body.readline(), body.read(1), *body]
            start_response("200 OK", [])
            return parts

        lint = Lint(app, profile="pedantic")
        answer = Conversation(Request(method="POST", body=b"one\ntwo\n"), Conduct()).run(lint)

        assert answer.body == b"one\ntwo\n"
        assert lint.findings == ()

    def test_a_long_header_is_looked_at_in_linear_time(self) -> None:
        lint = Lint(answering([b""], headers=[("X-Echo", "x=?b?" * 1600), ("X-Other", "=?a?q?" * 1400)]))
        began = time.process_time()
        list(lint(environ(), start_response))

        assert time.process_time() - began < 0.5  # it took minutes


class TestUseOfStreams:
    @pytest.mark.parametrize(
        ("use", "verdicts"),
        [
            (lambda stream: stream.seek(0), ["FAIL"]),
            (lambda stream: [stream.seek(0), stream.seek(0)], ["FAIL", "FAIL"]),
            (lambda stream: hasattr(stream, "seek"), []),
            (lambda stream: hasattr(stream, "no_such_method"), []),
            (lambda stream: hasattr(stream, "seek") and stream.seek(0), ["WARN"]),
            (lambda stream: [hasattr(stream, "tell") and stream.tell() for _ in range(2)], ["WARN", "WARN"]),
            (lambda stream: hasattr(stream, "tell") and stream.seek(0), ["FAIL"]),
        ],
    )
    def test_who_looks_first_whether_a_method_is_there_can_do_without(self, use: Any, verdicts: list[str]) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            use(environ["wsgi.input"])
            start_response("200 OK", [])
            return [b""]

        lint = Lint(app, roles=("app",))
        list(lint(environ(**{"wsgi.input": io.BytesIO()}), start_response))

        assert [(finding.rule, str(finding.verdict)) for finding in lint.findings] == [
            ("WSGI-A43", verdict) for verdict in verdicts
        ]
