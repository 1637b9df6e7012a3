"""Grafana's dashboard linter in short: lint(dashboard) gives "rule: what is wrong", for every rule of its code.

The rules are those of grafana/dashboard-linter of June 2026 (strict: warnings count), without the two about Loki.
"""
import re

from . import promql

# Ids of Grafana's unit list that these dashboards may use.
UNITS = {"none", "short", "percent", "percentunit", "bool", "bool_on_off", "s", "ms", "bytes", "decbytes", "Bps", "ops",
         "reqps", "cps", "dateTimeFromNow"}
_CHECKED = {"stat", "singlestat", "graph", "table", "timeseries", "gauge"}


def panels(dashboard):
    """All panels, those inside rows too."""
    for panel in dashboard.get("panels", []):
        yield panel
        yield from panel.get("panels", [])


def expressions(dashboard):
    """(panel title, expression) of every target."""
    return [(panel.get("title"), target["expr"]) for panel in panels(dashboard) for target in panel.get("targets", [])
            if "expr" in target]


def _variables(dashboard):
    return {v.get("name"): v for v in dashboard.get("templating", {}).get("list", [])}


def _template_datasource(dashboard):
    sources = [v for v in _variables(dashboard).values() if v.get("type") == "datasource"]
    if not sources:
        yield "no variable of type datasource"
    if len(sources) == 1:
        if sources[0]["name"] not in ("datasource", "prometheus_datasource"):
            yield f"is named {sources[0]['name']}"
        if sources[0].get("label") not in ("Data source", "Prometheus data source"):
            yield f"is labelled {sources[0].get('label')}"


def _datasource_variable(value):
    uid = value.get("uid") if isinstance(value, dict) else value
    return uid in ("$datasource", "${datasource}", "$prometheus_datasource", "${prometheus_datasource}")


def _template(name):
    def check(dashboard):
        variable = _variables(dashboard).get(name)
        if not variable:
            yield "is missing"
            return
        if variable.get("type") != "query":
            yield "is not a query"
        if not _datasource_variable(variable.get("datasource")):
            yield "does not use the datasource variable"
        if variable.get("label") != name.capitalize():
            yield f"is labelled {variable.get('label')}"
        if not variable.get("multi"):
            yield "is not multi-select"
        if variable.get("allValue") != ".+":
            yield f"has allValue {variable.get('allValue')}"
    return check


def _queries(dashboard):
    for variable in _variables(dashboard).values():
        if variable.get("type") == "query":
            query = variable.get("query")
            yield variable, query["query"] if isinstance(query, dict) else query


def _template_promql(dashboard):
    for variable, query in _queries(dashboard):
        call = re.fullmatch(r"label_values\((?:(.*), *)?(\w+)\)|query_result\((.*)\)|label_names\(\)|metrics\((.*)\)", query)
        if not call:
            yield f"{variable['name']}: {query} is no call"
        elif inner := call.group(1) or call.group(3):
            for said in promql.problems([inner]).values():
                yield f"{variable['name']}: {said}"


def _template_reload(dashboard):
    return (f"{v['name']} has refresh {v.get('refresh')}" for v, _ in _queries(dashboard) if v.get("refresh") != 2)


def _each(kinds, check):
    def run(dashboard):
        for panel in panels(dashboard):
            if panel.get("type") in kinds:
                for said in check(panel):
                    yield f"{panel.get('title')!r}: {said}"
    return run


def _panel_datasource(panel):
    if not _datasource_variable(panel.get("datasource")):
        yield f"uses {panel.get('datasource')}"


def _panel_texts(panel):
    if not panel.get("title"):
        yield "no title"
    if not panel.get("description"):
        yield "no description"


def _panel_units(panel):
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if not defaults.get("mappings") and defaults.get("unit") not in UNITS:
        yield f"unit {defaults.get('unit')}"


def _panel_targets(panel):
    if not panel.get("targets"):
        yield "no targets"


def _expressions(check):
    def run(dashboard):
        for title, expression in expressions(dashboard):
            for said in check(expression):
                yield f"{title!r}: {said}"
    return run


def _target_promql(dashboard):
    said = promql.problems([expression for _, expression in expressions(dashboard)])
    return (f"{title!r}: {said[e]}" for title, e in expressions(dashboard) if e in said)


def _rate_interval(expression):
    return (f"{s.function}({s.metric}[{s.range}])" for s in promql.selectors(expression)
            if s.function in ("rate", "irate") and s.range != "$__rate_interval")


def _matcher(name):
    return lambda expression: (f"{s.metric} lacks {name}" for s in promql.selectors(expression)
                               if f'{name}=~"${name}"' not in s.matchers)


def _counter(expression):
    return (f"{s.metric} is not inside rate, irate or increase" for s in promql.selectors(expression)
            if s.metric.endswith("_total") and s.function not in ("rate", "irate", "increase"))


def _uneditable(dashboard):
    if dashboard.get("editable") is not False:
        yield "editable"


RULES = {
    "template-datasource": _template_datasource,
    "template-job": _template("job"),
    "template-instance": _template("instance"),
    "template-label-promql": _template_promql,
    "template-on-time-change-reload": _template_reload,
    "panel-datasource": _each({"singlestat", "graph", "table", "timeseries"}, _panel_datasource),
    "panel-title-description": _each(_CHECKED, _panel_texts),
    "panel-units": _each(_CHECKED, _panel_units),
    "panel-no-targets": _each(_CHECKED, _panel_targets),
    "target-promql": _target_promql,
    "target-rate-interval": _expressions(_rate_interval),
    "target-job": _expressions(_matcher("job")),
    "target-instance": _expressions(_matcher("instance")),
    "target-counter-agg": _expressions(_counter),
    "uneditable-dashboard": _uneditable,
}


def lint(dashboard):
    """Every breach of every rule, and of what makes it importable anywhere."""
    found = [f"{rule}: {said}" for rule, check in RULES.items() for said in check(dashboard)]
    if dashboard.get("id", 0) is not None or not dashboard.get("uid") or "__inputs" in dashboard:
        found.append("import: id must be null, uid set, __inputs left out")
    ids = [panel.get("id") for panel in panels(dashboard)]
    if len(set(ids)) != len(ids):
        found.append("import: panel ids repeat")
    return found
