"""What tests need to know of PromQL: does it parse (promtool says), and which selectors are in it."""
import json
import pathlib
import re
import subprocess
import tempfile

_TOKEN = re.compile(r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<name>[A-Za-z_:][\w:]*)|(?P<other>.)""", re.S)
_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool"}
_LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}


def plain(expression):
    """The expression with Grafana's variables filled in as Grafana would by default."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$\{?\w+\}?", ".+", expression)


class Selector:
    """One vector selector: metric, matchers as text (`job=~"x"`), its range, the function it is directly in."""

    def __init__(self, metric, matchers, span, function):
        self.metric, self.matchers, self.range, self.function = metric, matchers, span, function


def selectors(expression):
    """All vector selectors of an expression that parses."""
    tokens = [m for m in _TOKEN.finditer(expression) if not m.group().isspace()]
    found, functions, i = [], [], 0
    while i < len(tokens):
        token = tokens[i].group()
        following = tokens[i + 1].group() if i + 1 < len(tokens) else ""
        if token in _LABEL_LISTS and following == "(":
            while tokens[i].group() != ")":
                i += 1
        elif token == "(":
            functions.append(tokens[i - 1].group() if i and tokens[i - 1].lastgroup == "name" else "")
        elif token == ")":
            functions.pop()
        elif token == "[":
            while tokens[i].group() != "]":
                i += 1
        elif (tokens[i].lastgroup == "name" and token not in _WORDS and following not in ("(",)
              and not re.fullmatch(r"[smhdwy]|e\d*|[iI]nf|[nN]a[nN]", token)) or token == "{":
            # `sum by (x) (...)`: an aggregation's name is followed by its label list.
            if following in _LABEL_LISTS:
                i += 1
                continue
            metric = token if token != "{" else ""
            matchers, span = [], ""
            if token != "{" and following == "{":
                i += 1
            if tokens[i].group() == "{":
                start = tokens[i].end()
                while tokens[i].group() != "}":
                    i += 1
                matchers = [m.strip() for m in re.split(r",(?=\s*\w+\s*[=!])", expression[start:tokens[i].start()]) if m.strip()]
            if i + 1 < len(tokens) and tokens[i + 1].group() == "[":
                start = tokens[i + 1].end()
                while tokens[i].group() != "]":
                    i += 1
                span = expression[start:tokens[i].start()]
            found.append(Selector(metric, matchers, span, functions[-1] if functions else ""))
        i += 1
    return found


def _check(rules):
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "g", "rules": rules}]}, file)  # JSON is YAML
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
        return None if run.returncode == 0 else (run.stdout + run.stderr).strip()


def problems(expressions):
    """{expression: what promtool says} of those that do not parse."""
    rules = {e: {"record": f"r{i}", "expr": plain(e)} for i, e in enumerate(expressions)}
    if not rules or _check(list(rules.values())) is None:
        return {}
    return {e: said for e, rule in rules.items() if (said := _check([rule]))}


def agent_metrics():
    """{name: type} of all the agent exports: the table in telemetry/README.md, which a unit test compares with the code."""
    text = (pathlib.Path(__file__).resolve().parents[3] / "telemetry/README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.M))


def exported(metric):
    """Whether the agent exports a sample of that name."""
    known = agent_metrics()
    if metric in known or metric == "up":
        return True
    base, _, suffix = metric.rpartition("_")
    return suffix in ("bucket", "sum", "count") and known.get(base) in ("histogram", "summary")
