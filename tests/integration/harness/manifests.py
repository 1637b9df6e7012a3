"""What the documentation of KEDA, Kubernetes and prometheus-adapter demands of manifests, as far as ours use it.

Not a schema of theirs: no cluster takes part in the tests. Unknown fields are problems, so that a typo is one.
"""
import yaml  # Debian's python3-yaml

_TARGET = {"apiVersion", "kind", "name"}
_FALLBACKS = {"static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"}
_TRIGGERS = {
    "prometheus": ({"serverAddress", "query", "threshold", "ignoreNullValues"}, {"activationThreshold"}),
    "metrics-api": ({"url", "valueLocation", "targetValue"},
                    {"format", "activationTargetValue", "aggregateFromKubeServiceEndpoints", "aggregationType"}),
}


def load(text):
    """All documents of a YAML stream."""
    return [document for document in yaml.safe_load_all(text) if document]


def _fields(where, found, required, optional=()):
    yield from (f"{where}: {name} is missing" for name in sorted(set(required) - set(found)))
    yield from (f"{where}: {name} is unknown" for name in sorted(set(found) - set(required) - set(optional)))


def _behavior(where, behavior):
    for direction, rules in behavior.items():
        yield from _fields(f"{where}.{direction}", rules, {"stabilizationWindowSeconds"}, {"policies", "selectPolicy", "tolerance"})
        window = rules.get("stabilizationWindowSeconds")
        if direction not in ("scaleUp", "scaleDown") or not isinstance(window, int) or not 0 <= window <= 3600:
            yield f"{where}.{direction}: a window is 0 to 3600 seconds"


def _scaled_object(spec):
    yield from _fields("spec", spec, {"scaleTargetRef", "triggers", "fallback"},
                       {"minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "advanced"})
    yield from _fields("fallback", spec.get("fallback", {}), {"failureThreshold", "replicas", "behavior"})
    if spec.get("fallback", {}).get("behavior") not in _FALLBACKS:
        yield "fallback: unknown behavior"
    advanced = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
    yield from _behavior("advanced", advanced)
    if not 0 <= spec.get("minReplicaCount", 0) <= spec.get("maxReplicaCount", 100):
        yield "minReplicaCount is above maxReplicaCount"
    for trigger in spec.get("triggers", []):
        yield from _fields("trigger", trigger, {"type", "metadata", "metricType"}, {"name"})
        if trigger.get("metricType") not in ("AverageValue", "Value"):
            yield f"trigger: metricType {trigger.get('metricType')}"
        yield from _fields("metadata", trigger["metadata"], *_TRIGGERS[trigger["type"]])
        yield from (f"metadata: {k} is no string" for k, v in trigger["metadata"].items() if not isinstance(v, str))
        if trigger["type"] == "prometheus" and trigger["metadata"].get("ignoreNullValues") != "false":
            yield "metadata: an empty answer would count as 0"


def _autoscaler(spec):
    yield from _fields("spec", spec, {"scaleTargetRef", "minReplicas", "maxReplicas", "metrics"}, {"behavior"})
    yield from _behavior("behavior", spec.get("behavior", {}))
    if not 1 <= spec.get("minReplicas", 0) <= spec.get("maxReplicas", 0):
        yield "minReplicas is below 1 or above maxReplicas"
    for metric in spec.get("metrics", []):
        yield from _fields("metric", metric, {"type", "external"})
        yield from _fields("external", metric["external"], {"metric", "target"})
        yield from _fields("external.metric", metric["external"]["metric"], {"name"}, {"selector"})
        yield from _fields("external.target", metric["external"]["target"], {"type", "averageValue"})


_KINDS = {("keda.sh/v1alpha1", "ScaledObject"): _scaled_object,
          ("autoscaling/v2", "HorizontalPodAutoscaler"): _autoscaler}


def problems(document):
    """What is wrong with one manifest."""
    check = _KINDS.get((document.get("apiVersion"), document.get("kind")))
    if not check:
        return [f"unknown kind {document.get('kind')}"]
    found = list(_fields("manifest", document, {"apiVersion", "kind", "metadata", "spec"}))
    found += _fields("metadata", document["metadata"], {"name", "namespace"})
    found += _fields("scaleTargetRef", document["spec"].get("scaleTargetRef", {}), {"name"}, _TARGET)
    return found + list(check(document["spec"]))


def queries(document):
    """The PromQL of a ScaledObject."""
    return [t["metadata"]["query"] for t in document["spec"].get("triggers", []) if "query" in t["metadata"]]


def adapter_queries(rules):
    """The PromQL of prometheus-adapter's externalRules, placeholders filled in."""
    for rule in rules:
        assert not list(_fields("rule", rule, {"seriesQuery", "metricsQuery", "name", "resources"})), rule
        series = rule["seriesQuery"].partition("{")[0] or rule["seriesQuery"].split('"')[1]
        yield rule["seriesQuery"]
        yield rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.LabelMatchers>>", 'namespace="x"')
