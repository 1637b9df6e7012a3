#!/usr/bin/env python3
"""Writes the dashboards beside it: boards.py [FOLDER]. What people import are the JSON files; this is their source.

Expressions name bare metrics; job and instance are put into every selector here.
"""
import json
import pathlib
import re
import sys

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
EVERYWHERE = 'job=~"$job", instance=~"$instance"'


def selected(expression):
    """The expression with job and instance in each selector."""
    def fill(match):
        own = match.group(3)
        return f"{match.group(1)}{{{EVERYWHERE}{', ' + own if own else ''}}}"
    return re.sub(r"\b((?:containerpilot|process)_\w+|up)\b(\{([^}]*)\})?", fill, expression)


def rate(metric, function="rate"):
    return f"{function}({metric}[$__rate_interval])"


def quantile(q, metric, by):
    return f"histogram_quantile({q}, sum by (le, {by}) ({rate(metric + '_bucket')}))"


def panel(kind, title, description, unit, *targets, width=12, height=8, steps=None, most=None, legend=True):
    """targets: (expression, legend). steps: [(from, colour)], the first of them from None."""
    defaults = {"unit": unit, "custom": {}, "mappings": []}
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": c, "value": v} for v, c in steps]}
    if most is not None:
        defaults["max"] = most
    options = {}
    if kind == "timeseries":
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
        options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": legend},
                   "tooltip": {"mode": "multi", "sort": "desc"}}
        defaults["min"] = 0
    elif kind == "stat":
        options = {"colorMode": "value", "graphMode": "area", "textMode": "value_and_name",
                   "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    elif kind == "gauge":
        options = {"showThresholdLabels": False, "showThresholdMarkers": True,
                   "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
        defaults["min"] = 0
    result = {
        "type": kind, "title": title, "description": description, "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
        "gridPos": {"w": width, "h": height},
        "targets": [{"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": selected(expression),
                     "legendFormat": name, "range": kind != "table", "instant": kind == "table",
                     **({"format": "table"} if kind == "table" else {})}
                    for i, (expression, name) in enumerate(targets)],
    }
    if kind == "table":
        result["transformations"] = [{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}]
    return result


def stat(*arguments, **named):
    return panel("stat", *arguments, **{"width": 6, "height": 4, **named})


def graph(*arguments, **named):
    return panel("timeseries", *arguments, **named)


def table(*arguments, **named):
    return panel("table", *arguments, **named)


def variable(name, query):
    return {"type": "query", "name": name, "label": name.capitalize(), "datasource": DATASOURCE, "refresh": 2,
            "query": {"query": query, "refId": name}, "definition": query, "multi": True, "includeAll": True,
            "allValue": ".+", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "sort": 1,
            "hide": 0, "regex": "", "options": []}


def board(uid, title, description, panels, variables=()):
    x = y = row = 0
    for number, each in enumerate(panels, 1):
        place = each["gridPos"]
        if x + place["w"] > 24:
            x, y, row = 0, y + row, 0
        place["x"], place["y"] = x, y
        x, row = x + place["w"], max(row, place["h"])
        each["id"] = number
    source = {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1,
              "current": {}, "hide": 0, "includeAll": False, "multi": False, "options": [], "regex": ""}
    return {
        "id": None, "uid": uid, "title": title, "description": description, "tags": ["containerpilot"],
        "schemaVersion": 39, "version": 1, "editable": False, "graphTooltip": 1, "refresh": "10s", "timezone": "",
        "time": {"from": "now-1h", "to": "now"}, "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "ContainerPilot", "tags": ["containerpilot"], "asDropdown": True,
                   "includeVars": True, "keepTime": True}],
        "templating": {"list": [
            source, variable("job", "label_values(containerpilot_build_info, job)"),
            variable("instance", 'label_values(containerpilot_build_info{job=~"$job"}, instance)'), *variables]},
        "panels": panels}


GOOD_BAD = [(None, "red"), (1, "green")]
BAD_ABOVE_0 = [(None, "green"), (1, "red")]
SERVICE = 'service=~"$service"'


def scaling(name, more=""):
    return f"containerpilot_scaling_{name}{{{SERVICE}{', ' + more if more else ''}}}"


def wanted_of(scope, combine):
    """Instances one metric asks for, by the formula of prometheus/recording.yml."""
    load = f"{scaling('value', scope)} / {scaling('target', scope)}"
    count = f"count by (service, metric) ({scaling('target', scope)})"
    if combine == "sum":
        return (f"sum by (service, metric) ({load} or {scaling('target', scope)} ^ 0) < {count} or "
                f"sum by (service, metric) ({load}) > {count} or {count}")
    return f"max by (service, metric) ({load}) or {count}"


WANTED = (f"max by (service) ({wanted_of('scope=' + chr(34) + 'instance' + chr(34), 'sum')} or "
          f"{wanted_of('scope=' + chr(34) + 'service' + chr(34), 'max')})")

AUTOSCALING = board(
    "containerpilot-autoscaling", "ContainerPilot / Autoscaling",
    "What the fleet carries, what it should carry, and how many instances follow from that.", [
        stat("Instances", "Healthy instances, as the catalog knows them.", "none",
             (f"max by (service) ({scaling('instances')})", "{{service}}")),
        stat("Instances wanted", "Load of the fleet in units of the target. Instances whose value is missing neither "
             "shrink the fleet nor make it grow.", "none",
             (f"ceil({WANTED} - 1e-6)", "{{service}}")),
        stat("Silent instances", "Agents that have a target but no fresh value for it.", "none",
             (f"sum by (service) ({scaling('target')} ^ 0) - (sum by (service) ({scaling('value')} ^ 0) or "
              f"sum by (service) ({scaling('target')} * 0))", "{{service}}"), steps=BAD_ABOVE_0),
        stat("Oldest value", "Age of the oldest value a decision stands on.", "s",
             (f"max by (service) ({scaling('input_age_seconds')})", "{{service}}")),
        graph("Instances: there, wanted, advised",
              "There: healthy in the catalog. Wanted: load divided by target, now. Advised: the agents' own hint, after "
              "tolerance, windows and limits.", "none",
              (f"max by (service) ({scaling('instances')})", "{{service}} there"),
              (WANTED, "{{service}} wanted"),
              (f"max by (service) ({scaling('desired')})", "{{service}} advised"), width=24, height=9),
        graph("Load relative to target", "1 is on target. The mean over the instances.", "percentunit",
              (f"avg by (service, metric) ({scaling('ratio')})", "{{service}} {{metric}}")),
        graph("Values", "What triggers measure: summed over the fleet for scope instance, the largest for scope service.",
              "short",
              (f"sum by (service, metric) ({scaling('value', 'scope=' + chr(34) + 'instance' + chr(34))})",
               "{{service}} {{metric}} (sum)"),
              (f"max by (service, metric) ({scaling('value', 'scope=' + chr(34) + 'service' + chr(34))})",
               "{{service}} {{metric}} (each reads the same)")),
        graph("Value of each instance", "What triggers measure on each instance: shows uneven load.", "short",
              (scaling("value"), "{{instance}} {{metric}}"), legend=False),
        graph("Targets", "What one instance should carry.", "short",
              (f"max by (service, metric) ({scaling('target')})", "{{service}} {{metric}}")),
        graph("Which rule has the last word", "How many agents say that this rule decides over the raw count.", "none",
              (f"sum by (service, reason) ({scaling('held')}) > 0", "{{service}} {{reason}}")),
        graph("Age of values", "How old the values are that decisions stand on.", "s",
              (f"max by (service, metric) ({scaling('input_age_seconds')})", "{{service}} {{metric}}")),
    ], [variable("service", 'label_values(containerpilot_scaling_target{job=~"$job"}, service)')])

FLEET = board(
    "containerpilot-fleet", "ContainerPilot / Fleet and jobs", "Every agent, every job: state, health, restarts.", [
        stat("Agents up", "Agents Prometheus could scrape.", "none", ("sum(up)", "agents"), steps=GOOD_BAD, width=4),
        stat("Jobs running", "Jobs with a process now.", "none",
             ('sum(containerpilot_job_state{state="running"})', "jobs"), width=4),
        stat("Unhealthy jobs", "Jobs with a check that are not healthy.", "none",
             ("sum(1 - containerpilot_job_healthy)", "jobs"), steps=BAD_ABOVE_0, width=4),
        stat("Crash loops", "Jobs whose restarts are delayed because they keep failing.", "none",
             ("sum(containerpilot_job_crash_loop)", "jobs"), steps=BAD_ABOVE_0, width=4),
        stat("In maintenance", "Agents in maintenance.", "none",
             ("sum(containerpilot_maintenance)", "agents"), width=4),
        stat("Refused configurations", "Agents whose last reload was refused.", "none",
             ("sum(1 - containerpilot_last_reload_success)", "agents"), steps=BAD_ABOVE_0, width=4),
        table("Agents", "Version of each agent.", "none",
              ("max by (job, instance, version, revision) (containerpilot_build_info)", "")),
        table("Jobs", "The state each job is in.", "none",
              ("max by (instance, name, state) (containerpilot_job_state) > 0", "")),
        graph("Restarts", "Runs that followed the end of an earlier one, per second.", "ops",
              (f"sum by (name) ({rate('containerpilot_job_restarts_total')})", "{{name}}")),
        graph("Exits", "Ended runs by exit code; 128 + signal when a signal ended it.", "ops",
              (f"sum by (name, code) ({rate('containerpilot_job_exits_total')})", "{{name}} {{code}}")),
        graph("Healthy", "1 while a job is healthy.", "bool_on_off",
              ("containerpilot_job_healthy", "{{instance}} {{name}}"), most=1),
        graph("Health checks", "Checks by result, per second.", "ops",
              (f"sum by (name, result) ({rate('containerpilot_checks_total')})", "{{name}} {{result}}")),
        graph("Duration of health checks", "95 % were faster.", "s",
              (quantile(0.95, "containerpilot_check_duration_seconds", "name"), "{{name}}")),
        graph("Duration of runs", "Half of the runs that ended were shorter.", "s",
              (quantile(0.5, "containerpilot_job_run_duration_seconds", "name"), "{{name}}")),
        graph("Events", "Events on the agents' buses by code, per second.", "ops",
              (f"sum by (code) ({rate('containerpilot_bus_events_total')})", "{{code}}")),
        graph("Uptime of agents", "Time since each agent started.", "s",
              ("time() - containerpilot_start_time_seconds", "{{instance}}"), legend=False),
        graph("Memory of agents", "Resident memory of the agents themselves.", "bytes",
              ("process_resident_memory_bytes", "{{instance}}"), legend=False),
        graph("CPU of agents", "CPU the agents themselves use, in cores.", "short",
              (rate("process_cpu_seconds_total"), "{{instance}}"), legend=False),
        graph("Event loop", "99 % of the turns were shorter, and 99 % of the timers came less late.", "s",
              (quantile(0.99, "containerpilot_loop_turn_duration_seconds", "job"), "turn"),
              (quantile(0.99, "containerpilot_loop_timer_lag_seconds", "job"), "lag of timers")),
        graph("Log", "Lines written, dropped and held back per second.", "ops",
              (f"sum({rate('containerpilot_log_lines_total')})", "written"),
              (f"sum({rate('containerpilot_log_dropped_total')})", "dropped"),
              (f"sum({rate('containerpilot_log_suppressed_total')})", "held back")),
        graph("Scrapes", "Duration of scrapes: 95 % were faster.", "s",
              (quantile(0.95, "containerpilot_scrape_duration_seconds", "job"), "{{job}}")),
        graph("Size of scrapes", "Bytes of the last answer, as sent.", "bytes",
              ("containerpilot_scrape_size_bytes", "{{instance}}"), legend=False),
    ])

SENSORS = board(
    "containerpilot-sensors", "ContainerPilot / Sensors", "Whether the numbers can be trusted.", [
        stat("Sensors up", "Sensors whose last run was good and whose value is fresh.", "none",
             ("sum(containerpilot_sensor_up)", "sensors")),
        stat("Stale sensors", "Sensors whose last good value is too old.", "none",
             ("sum(containerpilot_sensor_stale)", "sensors"), steps=BAD_ABOVE_0),
        stat("Series", "Series that sensors feed.", "none", ("sum(containerpilot_sensor_series)", "series")),
        stat("Runs", "Runs of sensors per second.", "ops",
             (f"sum({rate('containerpilot_sensor_runs_total')})", "runs")),
        graph("Runs by result", "ok, exit, signal, timeout, start, unavailable, parse, range, overlap.", "ops",
              (f"sum by (sensor, result) ({rate('containerpilot_sensor_runs_total')})", "{{sensor}} {{result}}")),
        graph("Share of good runs", "Good runs divided by all runs.", "percentunit",
              (f"sum by (sensor) ({rate('containerpilot_sensor_runs_total{result=' + chr(34) + 'ok' + chr(34) + '}')}) / "
               f"sum by (sensor) ({rate('containerpilot_sensor_runs_total')})", "{{sensor}}"), most=1),
        graph("Age of the last good value", "Time since each sensor last gave a good value.", "s",
              ("time() - containerpilot_sensor_last_success_timestamp_seconds", "{{instance}} {{sensor}}")),
        graph("Age in intervals", "Age of the last good value divided by the sensor's interval: 1 is usual, 3 is stale.",
              "short",
              ("max by (sensor) ((time() - containerpilot_sensor_last_success_timestamp_seconds) / "
               "(containerpilot_sensor_interval_seconds > 0))", "{{sensor}}")),
        graph("Duration", "95 % of the runs were faster.", "s",
              (quantile(0.95, "containerpilot_sensor_run_duration_seconds", "sensor"), "{{sensor}}")),
        graph("Duration relative to timeout", "Mean duration divided by the timeout.", "percentunit",
              (f"sum by (sensor) ({rate('containerpilot_sensor_run_duration_seconds_sum')}) / "
               f"sum by (sensor) ({rate('containerpilot_sensor_run_duration_seconds_count')}) / "
               "(max by (sensor) (containerpilot_sensor_timeout_seconds) > 0)", "{{sensor}}")),
        graph("Series per sensor", "Series each sensor feeds.", "none",
              ("sum by (sensor) (containerpilot_sensor_series)", "{{sensor}}")),
        graph("Dropped series", "Series refused because they exceed maxSeries or are not the sensor's, per second.", "ops",
              (f"sum by (sensor) ({rate('containerpilot_sensor_series_dropped_total')})", "{{sensor}}")),
        graph("Pushed values", "Values pushed through the control socket by result, per second.", "ops",
              (f"sum by (result) ({rate('containerpilot_pushes_total')})", "{{result}}")),
        graph("Up", "1 while the last run was good and the value is fresh.", "bool_on_off",
              ("containerpilot_sensor_up", "{{instance}} {{sensor}}"), most=1),
    ])

PRESSURE = board(
    "containerpilot-pressure", "ContainerPilot / Container pressure",
    "How close containers are to their limits. Needs a sensor with `cgroup`; per job one with `process`.", [
        panel("gauge", "CPU", "CPU used, relative to the limit.", "percentunit",
              ("containerpilot_cgroup_cpu_used_ratio", "{{instance}}"), width=8, height=6, most=1,
              steps=[(None, "green"), (0.8, "orange"), (0.95, "red")]),
        panel("gauge", "Memory", "Working set, relative to the limit.", "percentunit",
              ("containerpilot_cgroup_memory_used_ratio", "{{instance}}"), width=8, height=6, most=1,
              steps=[(None, "green"), (0.8, "orange"), (0.95, "red")]),
        panel("gauge", "Processes", "Processes and threads, relative to the limit.", "percentunit",
              ("containerpilot_cgroup_pids / containerpilot_cgroup_pids_limit", "{{instance}}"), width=8, height=6,
              most=1, steps=[(None, "green"), (0.8, "orange"), (0.95, "red")]),
        graph("Pressure: some wait", "Share of time in which some task waited for the resource.", "percentunit",
              (rate("containerpilot_cgroup_pressure_waiting_seconds_total"), "{{instance}} {{resource}}")),
        graph("Pressure: all wait", "Share of time in which all tasks waited for the resource.", "percentunit",
              (rate("containerpilot_cgroup_pressure_stalled_seconds_total"), "{{instance}} {{resource}}")),
        graph("CPU", "Cores used, and the limit where there is one.", "short",
              (rate("containerpilot_cgroup_cpu_usage_seconds_total"), "{{instance}} used"),
              ("containerpilot_cgroup_cpu_limit_cores", "{{instance}} limit")),
        graph("CPU throttling", "Share of the enforcement periods in which the limit was reached.", "percentunit",
              (f"{rate('containerpilot_cgroup_cpu_throttled_periods_total')} / "
               f"{rate('containerpilot_cgroup_cpu_periods_total')}", "{{instance}}")),
        graph("Memory", "Working set and limit.", "bytes",
              ("containerpilot_cgroup_memory_working_set_bytes", "{{instance}} working set"),
              ("containerpilot_cgroup_memory_limit_bytes", "{{instance}} limit")),
        graph("Memory events", "How often limits were reached, and the kernel killed.", "ops",
              (f"sum by (instance, event) ({rate('containerpilot_cgroup_memory_events_total')})",
               "{{instance}} {{event}}")),
        graph("Disk", "Bytes read and written per second.", "Bps",
              (f"sum by (instance) ({rate('containerpilot_cgroup_io_read_bytes_total')})", "{{instance}} read"),
              (f"sum by (instance) ({rate('containerpilot_cgroup_io_written_bytes_total')})", "{{instance}} written")),
        graph("Processes and threads", "In the whole container.", "none",
              ("containerpilot_cgroup_pids", "{{instance}}")),
        graph("CPU per job", "Cores used by each job's processes.", "short",
              (f"sum by (name) ({rate('containerpilot_process_cpu_seconds_total')})", "{{name}}")),
        graph("Memory per job", "Resident memory of each job's processes.", "bytes",
              ("sum by (name) (containerpilot_process_resident_memory_bytes)", "{{name}}")),
        graph("Open files per job", "File descriptors of each job's processes.", "none",
              ("sum by (name) (containerpilot_process_open_fds)", "{{name}}")),
        graph("Threads per job", "Threads of each job's processes.", "none",
              ("sum by (name) (containerpilot_process_threads)", "{{name}}")),
    ])

DISCOVERY = board(
    "containerpilot-discovery", "ContainerPilot / Discovery", "Entries in the catalog, and what watches see there.", [
        stat("Catalog", "Agents whose catalog answers.", "none", ("sum(containerpilot_catalog_up)", "agents")),
        stat("Entries", "Entries the catalog is known to hold.", "none", ("sum(containerpilot_registered)", "entries")),
        stat("Lost entries", "Entries that should be in the catalog and are not known to be.", "none",
             ("sum(1 - containerpilot_registered)", "entries"), steps=BAD_ABOVE_0),
        stat("Oldest answer", "Time since the catalog last answered a watch.", "s",
             ("max(time() - containerpilot_watch_last_answer_timestamp_seconds)", "age")),
        graph("Instances seen", "Healthy instances at the last good answer.", "none",
              ("max by (service) (containerpilot_watch_instances)", "{{service}}")),
        graph("Do all agents see the same?", "Largest minus smallest count of instances any agent sees; 0 when they agree.",
              "none", ("max by (service) (containerpilot_watch_instances) - "
                       "min by (service) (containerpilot_watch_instances)", "{{service}}")),
        graph("Changes", "Changes watches have seen, per second.", "ops",
              (f"sum by (service) ({rate('containerpilot_watch_changes_total')})", "{{service}}")),
        graph("Age of answers", "Time since the catalog last answered each watch.", "s",
              ("max by (service) (time() - containerpilot_watch_last_answer_timestamp_seconds)", "{{service}}")),
        graph("Registered", "1 while the catalog is known to hold the entry.", "bool_on_off",
              ("containerpilot_registered", "{{instance}} {{service}}"), most=1),
        graph("Calls to the catalog", "Calls by result, per second.", "ops",
              (f"sum by (call, result) ({rate('containerpilot_catalog_calls_total')})", "{{call}} {{result}}")),
        graph("Duration of calls", "95 % were faster; long polls left out.", "s",
              (quantile(0.95, "containerpilot_catalog_call_duration_seconds", "call"), "{{call}}")),
        graph("Share of good calls", "Good calls divided by all calls.", "percentunit",
              (f"sum by (job) ({rate('containerpilot_catalog_calls_total{result=' + chr(34) + 'ok' + chr(34) + '}')}) / "
               f"sum by (job) ({rate('containerpilot_catalog_calls_total')})", "{{job}}"), most=1),
    ])

BOARDS = {"autoscaling": AUTOSCALING, "fleet": FLEET, "sensors": SENSORS, "pressure": PRESSURE,
          "discovery": DISCOVERY}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for name, content in BOARDS.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
