// The live page: /status every two seconds and after each event, /events as a stream. Nothing from the agent is ever
// read as HTML. The stream is read by fetch, not EventSource, since only fetch can send the bearer token.
const POLL_MS = 2000, RETRY_MS = 1000, KEPT_MS = 5 * 60 * 1000, MOST_EVENTS = 200, MOST_LINES = 5;

Dygraph.PLUGINS = [];  // lines only; the legend would set styles that the content policy refuses

const $ = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
let token = "";

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function setText(node, text, className) {
  if (node.textContent !== text) node.textContent = text;
  if (className !== undefined && node.className !== className) node.className = className;
}

/** Keeps children of `parent` in step with items: made once per key, updated in place, so that focus stays. */
function sync(parent, items, keyOf, make, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let child = before.get(key);
    if (child) before.delete(key);
    else {
      child = make(item);
      child.dataset.key = key;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  for (const child of before.values()) child.remove();
}

/** Table rows; cells of an item are [text, className] pairs. */
function rows(id, items, keyOf, cellsOf) {
  sync($(id), items, keyOf, () => element("tr"), (row, item) => {
    cellsOf(item).forEach(([text, className = ""], i) => {
      const cell = row.children[i] ?? row.appendChild(element(i ? "td" : "th"));
      if (!i) cell.scope = "row";
      setText(cell, text, className);
    });
  });
}

const clock = (iso) => (iso ? new Date(iso).toLocaleTimeString() : "");
const number = (value) => value.toLocaleString(undefined, { maximumSignificantDigits: 6 });
const seconds = (value) => (value < 90 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`);

function healthClass(health) {
  return { healthy: "good", unhealthy: "bad", failed: "bad", maintenance: "warn" }[health] ?? "quiet";
}

function stateOf(job) {
  if (job.CrashLoop) return ["crash loop", "bad"];
  return [job.State ?? "", job.State === "running" ? "good" : job.State === "backoff" ? "warn" : ""];
}

function showJobs(status) {
  rows("jobs", [...(status.Services ?? []), ...(status.Jobs ?? [])], (job) => job.Name, (job) => [
    [job.Name],
    stateOf(job),
    [job.Status ?? "", healthClass(job.Status)],
    [job.Address ? `${job.Address}:${job.Port}` : ""],
    [String(job.Starts ?? "")],
    [String(job.Restarts ?? ""), job.Restarts ? "warn" : ""],
    [clock(job.Since)],
    [(job.Why ?? []).map((event) => [event.source, event.code].filter(Boolean).join(" ")).join(" ← ")],
    [job.Check && !job.Check.Ok ? `check: ${job.Check.Reason ?? "failed"}` : job.LastExit?.Reason ?? "",
      job.LastExit?.Code || (job.Check && !job.Check.Ok) ? "bad" : ""],
  ]);
}

function showScaling(status) {
  const rules = status.Scaling ?? [];
  $("scaling-section").hidden = rules.length === 0;
  rows("scaling", rules, (rule) => rule.Service, (rule) => [
    [rule.Service],
    [rule.Instances === undefined ? "unknown" : String(rule.Instances)],
    [rule.Desired === undefined ? "unknown" : String(rule.Desired), rule.Desired > rule.Instances ? "warn" : ""],
    [`${rule.Min} to ${rule.Max}`],
    [rule.Hold === "none" ? "" : rule.Hold, rule.Hold === "max" || rule.Hold === "missing_input" ? "bad" : ""],
    [rule.Triggers.map((each) => `${each.Metric} ${each.Ratio === undefined ? "unknown"
      : `${Math.round(each.Ratio * 100)} %`} of ${number(each.Target)}`).join(", ")],
  ]);
}

const histories = new Map();  // by sensor: {names, rows: [[Date, value...]], chart}

function remember(sensor, target) {
  const series = Object.entries(sensor.Series ?? {});
  // One scale per chart: only series of one metric share it.
  if (series.length > MOST_LINES || new Set(series.map(([name]) => name.split("{")[0])).size > 1) return null;
  const names = [...series.map(([name]) => name), ...(target === undefined ? [] : ["target"])];
  let history = histories.get(sensor.Name);
  if (series.length && (!history || history.names.join() !== names.join())) {
    history?.chart?.destroy();
    history = { names, rows: [], chart: null };
    histories.set(sensor.Name, history);
  }
  if (!history) return null;
  const now = Date.now();
  // A gap, not a line, where there was no value.
  const values = series.length ? series.map(([, value]) => value)
    : history.names.filter((name) => name !== "target").map(() => null);
  history.rows.push([new Date(now), ...values, ...(target === undefined ? [] : [target])]);
  while (history.rows[0][0] < now - KEPT_MS) history.rows.shift();
  return history;
}

function colours(history) {
  const style = getComputedStyle(document.documentElement);
  const lines = dark.matches ? ["#79b8ff", "#57c873", "#e8a447", "#d2a8ff", "#ff8078"]
    : ["#0b5cad", "#116329", "#8a4b00", "#6e3fc9", "#b3151f"];
  return history.names.map((name, i) => (name === "target" ? style.getPropertyValue("--quiet").trim() : lines[i]));
}

function draw(history, box) {
  if (history.chart) {
    history.chart.updateOptions({ file: history.rows });
    return;
  }
  history.chart = new Dygraph(box, history.rows, {
    labels: ["time", ...history.names], colors: colours(history), legend: "never", drawGrid: false, drawAxis: false,
    interactionModel: {}, highlightCircleSize: 0, includeZero: true, strokeWidth: 1.5, connectSeparatedPoints: false,
    series: history.names.includes("target") ? { target: { strokePattern: [4, 3] } } : {},
  });
}

function summary(history) {
  const values = history.rows.flatMap((row) => row.slice(1, 1 + history.names.filter((n) => n !== "target").length))
    .filter((value) => value !== null);
  if (!values.length) return "no value yet";
  const span = (history.rows.at(-1)[0] - history.rows[0][0]) / 1000;
  return `${number(Math.min(...values))} to ${number(Math.max(...values))} in the last ${seconds(span)}`;
}

function firstOf(sensor) {
  const all = Object.entries(sensor.Series);
  return all.slice(0, MOST_LINES).map(([name, value]) => `${name} ${number(value)}`).join(", ") +
    (all.length > MOST_LINES ? ", …" : "");
}

function makeSensor() {
  const card = element("li");
  for (const [tag, part] of [["h3", "name"], ["p", "value"], ["div", "chart"], ["p", "range quiet"], ["p", "state"]]) {
    card.append(element(tag, part));
  }
  card.querySelector(".chart").setAttribute("aria-hidden", "true");  // .range says it in words
  return card;
}

function showSensors(status) {
  const sensors = status.Sensors ?? [];
  const targets = new Map((status.Scaling ?? []).flatMap((rule) => rule.Triggers.map((t) => [t.Metric, t.Target])));
  $("sensors-section").hidden = sensors.length === 0;
  for (const name of histories.keys()) if (!sensors.some((sensor) => sensor.Name === name)) histories.delete(name);
  sync($("sensors"), sensors, (sensor) => sensor.Name, makeSensor, (card, sensor) => {
    const target = targets.get(sensor.Name);
    const [name, value, chart, range, state] = card.children;
    setText(name, sensor.Name);
    const series = Object.keys(sensor.Series ?? {}).length;
    setText(value, sensor.Value !== undefined && !sensor.Stale ? number(sensor.Value) : series > 1 ? `${series} series` : "–");
    const history = remember(sensor, target);
    if (history) draw(history, chart);
    const words = history ? summary(history) : series ? firstOf(sensor) : "no value yet";
    setText(range, words + (target === undefined ? "" : `; target ${number(target)}`));
    const age = sensor.AgeSeconds === undefined ? "" : `, ${seconds(sensor.AgeSeconds)} old`;
    if (sensor.Up) setText(state, `up${age}`, "state good");
    else setText(state, `${sensor.Stale ? "stale" : "failing"}${age}${sensor.Error ? `: ${sensor.Error}` : ""}`, "state bad");
  });
}

function showCatalog(status) {
  const catalog = status.Catalog;
  if (!catalog) setText($("catalog"), "none configured");
  else setText($("catalog"), `${catalog.Name}: ${catalog.Up ? "answers" : "does not answer"}`, catalog.Up ? "good" : "bad");
  const entries = catalog?.Entries ?? [], watches = status.WatchDetails ?? [];
  $("entries-table").hidden = entries.length === 0;
  $("watches-table").hidden = watches.length === 0;
  rows("entries", entries, (entry) => entry.Id, (entry) => [
    [entry.Id], [entry.Withdrawn ? "withdrawn" : entry.Registered ? "yes" : "no", entry.Registered ? "good" : "warn"],
    [entry.Health ?? ""], [entry.Error ?? "", "bad"],
  ]);
  rows("watches", watches, (watch) => watch.Name, (watch) => [
    [watch.Name],
    [watch.Known ? `${watch.Instances.length}${watch.Instances.length ? ": " : ""}${watch.Instances
      .map((each) => `${each.Address}:${each.Port}`).join(", ")}` : "unknown", watch.Known ? "" : "warn"],
    [String(watch.Changes)],
    [watch.Error ?? (watch.AgeSeconds === undefined ? "" : `${seconds(watch.AgeSeconds)} ago`), watch.Error ? "bad" : ""],
  ]);
}

function show(status) {
  setText($("version"), status.Version);
  if (status.MetricsPath) $("metrics").href = status.MetricsPath;
  showJobs(status);
  showScaling(status);
  showSensors(status);
  showCatalog(status);
  if (status.Stopping) setText($("connection"), "the agent is stopping", "warn");
  else if (status.Maintenance) setText($("connection"), "connected; in maintenance", "warn");
  else setText($("connection"), "connected", "good");
}

async function get(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { cache: "no-store", ...options, headers });
  $("login").hidden = answer.status !== 401;
  if (answer.status === 401) setText($("connection"), "not logged in", "warn");
  return answer;
}

function lost() {
  setText($("connection"), "no answer from the agent, trying again", "bad");
}

let refreshing = false, again = false;
async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const answer = await get("status", { signal: AbortSignal.timeout(5000) });
    if (answer.ok) show(await answer.json());
  } catch {
    lost();
  }
  refreshing = false;
  if (again) {
    again = false;
    setTimeout(refresh, 100);
  }
}

function addEvent(data) {
  const event = JSON.parse(data);
  const line = element("li");
  line.value = event.id;
  line.textContent = `${clock(event.at)}  ${[event.source, event.code].filter(Boolean).join(" ")}` +
    (event.cause ? `, because of ${event.cause}` : "") + (event.detail ? `: ${event.detail}` : "");
  $("events").prepend(line);
  while ($("events").children.length > MOST_EVENTS) $("events").lastChild.remove();
}

/** Reads one connection to its end; what the agent remembers comes first, so the list begins anew. */
async function followEvents() {
  const answer = await get("events", { headers: { "Last-Event-ID": "0" } });
  if (!answer.ok) return;
  $("events").replaceChildren();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffered += value;
    const blocks = buffered.split("\n\n");
    buffered = blocks.pop();
    const news = blocks.filter((block) => /^event: event$/m.test(block));
    for (const block of news) addEvent(/^data: (.*)$/m.exec(block)[1]);
    if (news.length) refresh();
  }
}

async function events() {
  for (;;) {
    try {
      await followEvents();
    } catch {
      // The agent is gone, or we were not let in; refresh() says so.
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

$("login").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  token = $("token").value;
  $("token").value = "";
  refresh();
});
dark.addEventListener("change", () => {
  for (const history of histories.values()) history.chart?.updateOptions({ colors: colours(history) });
});
setInterval(refresh, POLL_MS);
refresh();
events();
