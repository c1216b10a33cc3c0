"""Makes the saved clusters anew, with the program that saves clusters.

    record.py EXPORTER [CASE…]

EXPORTER is the built lockkeeper-exporter. The objects.jsonl of a folder here, one object a line with what a reader may
look at of it, is served on 127.0.0.1 as an API server would list it, beside the objects of base/. The exporter reads
that with `verdict --save`. What it saved goes to saved.json: of base/ all of it, of the others what base/ has not.

A manifest has no status. What the cluster's own controllers would add is added here: every rollout is over, every pod
is Ready, a Deployment whose replicas an autoscaler sets has its least, pods of Deployments and StatefulSets are spread
over the workers, Services have the endpoints of their pods, budgets are counted, definitions store what they say they
store, and every namespace that is spoken of is there.
"""

import contextlib
import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).parent
#: The moment at which every cluster here was saved.
NOW = "2026-12-01T00:00:00Z"
TARGET = "v1.36.3"
PUBLISHED = {"1.35": ["1.35.6"], "1.36": ["1.36.3"]}
ARCHITECTURES = ["amd64", "arm64"]
#: Where a plural is not the kind and an s.
PLURALS = {"ingressclasses": "IngressClass", "storageclasses": "StorageClass", "priorityclasses": "PriorityClass"}
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")


def labels_of(holder):
    return (holder.get("metadata") or {}).get("labels") or {}


def matches(selector, labels):
    """As the API server matches a label selector; all of it where there is none."""
    if not all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or []:
        value, values = labels.get(one["key"]), one.get("values") or []
        good = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not good[one["operator"]]:
            return False
    return True


class Cluster:
    """The objects of a cluster, with what its controllers would add."""

    def __init__(self, objects):
        self.objects = objects
        self.nodes = self.of("Node")
        self.workers = [it for it in self.nodes if not (it["spec"].get("taints") or [])]
        for one in objects:
            one.setdefault("metadata", {}).setdefault("generation", 1)
            one["metadata"].setdefault("uid", f'{one["kind"]}-{one["metadata"]["name"]}'.lower())
            one["metadata"].setdefault("resourceVersion", "1")
        self.name_namespaces()
        self.pods = [pod for it in objects if it["kind"] in WORKLOADS for pod in self.roll_out(it)]
        for one in self.of("CustomResourceDefinition"):
            stored = [it["name"] for it in one["spec"]["versions"] if it["storage"]]
            one.setdefault("status", {"storedVersions": stored})
        for one in self.of("PodDisruptionBudget"):
            self.count(one)
        for one in self.of("Service"):
            self.lead(one)

    def of(self, kind):
        return [it for it in self.objects if it["kind"] == kind]

    def name_namespaces(self):
        there = {it["metadata"]["name"] for it in self.of("Namespace")}
        spoken = {it["metadata"].get("namespace") for it in self.objects} - {None}
        for name in sorted(spoken - there):
            self.objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for one in self.of("Namespace"):
            labels = one["metadata"].get("labels") or {}
            name = one["metadata"]["name"]
            one["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}

    def places(self, workload):
        """The nodes that a DaemonSet's pods run on."""
        pod = workload["spec"]["template"]["spec"]
        for node in self.nodes:
            wanted, has = pod.get("nodeSelector") or {}, labels_of(node)
            tolerations = [it for it in pod.get("tolerations") or [] if it.get("operator") == "Exists"]
            tolerated = {it.get("key") for it in tolerations}
            taints = {it["key"] for it in node["spec"].get("taints") or []}
            is_wanted = all(has.get(key) == value for key, value in wanted.items())
            if is_wanted and (None in tolerated or taints <= tolerated):
                yield node

    def roll_out(self, workload):
        """Writes its status; its pods, each with its labels and node."""
        spec, status = workload["spec"], {"observedGeneration": 1}
        if workload["kind"] == "DaemonSet":
            nodes = list(self.places(workload))
            for field in ("desired", "current", "updated"):
                status[f"{field}NumberScheduled"] = len(nodes)
            status["numberReady"] = status["numberAvailable"] = len(nodes)
            status["numberMisscheduled"] = 0
        else:
            if spec.get("replicas") is None:
                spec["replicas"] = self.least_replicas(workload)
            nodes = [self.workers[index % len(self.workers)] for index in range(spec["replicas"])]
            for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
                status[field] = len(nodes)
        workload.setdefault("status", status)
        metadata = workload["metadata"]
        for index, node in enumerate(nodes):
            yield {
                "namespace": metadata["namespace"],
                "name": f'{metadata["name"]}-{index}',
                "labels": labels_of(spec["template"]),
                "node": node["metadata"]["name"],
                "containers": spec["template"]["spec"].get("containers") or [],
            }

    def least_replicas(self, workload):
        for one in self.of("HorizontalPodAutoscaler"):
            target = one["spec"]["scaleTargetRef"]
            is_its = (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])
            if is_its and one["metadata"].get("namespace") == workload["metadata"].get("namespace"):
                return one["spec"].get("minReplicas", 1)
        return 1

    def pods_of(self, holder, selector):
        namespace = holder["metadata"]["namespace"]
        return [it for it in self.pods if it["namespace"] == namespace and matches(selector, it["labels"])]

    def count(self, budget):
        spec = budget["spec"]
        pods = self.pods_of(budget, spec["selector"]) if spec.get("selector") is not None else []
        count = len(pods)

        def amount(value):
            return -(-count * int(value[:-1]) // 100) if isinstance(value, str) else value

        if spec.get("maxUnavailable") is not None:
            desired = max(count - amount(spec["maxUnavailable"]), 0)
        else:
            desired = amount(spec.get("minAvailable", 1))
        budget.setdefault("status", {
            "observedGeneration": 1,
            "expectedPods": count,
            "currentHealthy": count,
            "desiredHealthy": desired,
            "disruptionsAllowed": max(count - desired, 0),
        })

    def lead(self, service):
        """Its EndpointSlice, as the controller of endpoints would write it."""
        selector, ports = service["spec"].get("selector"), service["spec"].get("ports") or []
        if not selector:
            return
        metadata = service["metadata"]
        by_ports = {}
        for number, pod in enumerate(self.pods_of(service, {"matchLabels": selector})):
            answered = tuple(
                (port.get("name", ""), target, port.get("protocol", "TCP"))
                for port in ports
                if (target := self.target(pod, port)) is not None
            )
            endpoint = {
                "addresses": [f"10.244.9.{number + 1}"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": pod["node"],
                "targetRef": {"kind": "Pod", "namespace": pod["namespace"], "name": pod["name"]},
            }
            by_ports.setdefault(answered, []).append(endpoint)
        for number, (answered, endpoints) in enumerate(by_ports.items()):
            self.objects.append({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "namespace": metadata["namespace"],
                    "name": f'{metadata["name"]}-{number}',
                    "labels": {"kubernetes.io/service-name": metadata["name"]},
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": [{"name": name, "port": port, "protocol": protocol} for name, port, protocol in answered],
            })

    @staticmethod
    def target(pod, port):
        """The number behind a port of a Service; nothing where the pod names no such port."""
        target = port.get("targetPort", port.get("port"))
        if isinstance(target, int):
            return target
        named = (it for container in pod["containers"] for it in container.get("ports") or [])
        return next((it["containerPort"] for it in named if it.get("name") == target), None)


class Served(http.server.BaseHTTPRequestHandler):
    """Answers as API server, kubelet, Prometheus and package repository."""

    cluster = None

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = {key: values[0] for key, values in urllib.parse.parse_qs(url.query).items()}
        answer = self.answer([part for part in url.path.split("/") if part], query)
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(200 if answer is not None else 404)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass

    def answer(self, parts, query):
        match parts:
            case ["version"]:
                return {"major": "1", "minor": "35", "gitVersion": "v1.35.6", "gitCommit": "", "gitTreeState": "clean",
                        "buildDate": NOW, "goVersion": "go1.25.7", "compiler": "gc", "platform": "linux/amd64"}
            case ["readyz"]:
                return "ok"
            case ["packages", minor]:
                return packages(minor)
            case ["prometheus", "api", "v1", "query"]:
                return prometheus(query["query"])
            case ["api", "v1", "nodes", node, "proxy", what]:
                return kubelet(what)
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
            case ["apis"]:
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
            case ["api", version, *rest]:
                return self.objects(version, rest, query)
            case ["apis", group, version, *rest]:
                return self.objects(f"{group}/{version}", rest, query)

    def objects(self, api_version, rest, query):
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, *name = rest
        wanted = [it for it in (query.get("labelSelector") or "").split(",") if it]
        wanted = dict(it.replace("==", "=").split("=", 1) for it in wanted)
        found = [
            it
            for it in self.cluster.objects
            if it["apiVersion"] == api_version
            and PLURALS.get(plural, it["kind"]).lower() == it["kind"].lower()
            and (plural in PLURALS or it["kind"].lower() + "s" == plural or it["kind"].lower()[:-1] + "ies" == plural)
            and namespace in (None, it["metadata"].get("namespace"))
            and matches({"matchLabels": wanted}, labels_of(it))
        ]
        if name:
            return next((it for it in found if it["metadata"]["name"] == name[0]), None)
        return {"kind": "List", "apiVersion": api_version, "metadata": {"resourceVersion": "1"}, "items": found}


def packages(minor):
    """A Packages index; nothing for a minor that is not published."""
    each = (
        f"Package: {name}\nVersion: {version}-1.1\nArchitecture: {architecture}\n"
        f"Filename: {name}_{version}_{architecture}.deb\n"
        for version in PUBLISHED.get(minor, [])
        for name in ("kubeadm", "kubectl", "kubelet")
        for architecture in ARCHITECTURES
    )
    return "\n".join(each) or None


def prometheus(query):
    """It has scraped the API server for a month, and nobody has asked for an API that goes."""
    result = []
    if "apiserver_request_total" in query and "apiserver_requested_deprecated_apis" not in query:
        count = "720" if query.startswith("count_over_time") else "9"
        result = [{"metric": {"instance": "10.0.0.11:6443"}, "value": [0, count]}]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def kubelet(what):
    if what == "metrics":
        return "kubelet_cgroup_version 2\n"
    if what == "configz":
        return {"kubeletconfig": {"syncFrequency": "1m0s", "authentication": {}, "failCgroupV1": True}}


def objects_of(case):
    text = (HERE / case / "objects.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


class Server(http.server.ThreadingHTTPServer):
    #: Everything is asked at once: a connection too many would be tried again only after a second.
    request_queue_size = 128


@contextlib.contextmanager
def served(cluster):
    server = Server(("127.0.0.1", 0), type("Handler", (Served,), {"cluster": cluster}))
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def save(exporter, cluster):
    """What the exporter saves of it."""
    with served(cluster) as url, tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }))
        (folder / "config.yaml").write_text(
            f"packages: {{url: '{url}/packages/{{minor}}'}}\nprometheus: {{urls: ['{url}/prometheus']}}\n"
        )
        saved = folder / "saved.json"
        told = subprocess.run(
            [exporter, "verdict", TARGET, "--save", saved, "--kubeconfig", folder / "kubeconfig", "--config.file",
             folder / "config.yaml"],
            capture_output=True,
            text=True,
            check=False,
        )
        if not saved.exists():
            sys.exit(f"nothing was saved: {told.stderr}")
        text = saved.read_text().replace(url, "https://10.0.0.11:6443")
    # All of it was read just now.
    return json.loads(re.sub(r'"20\d\d-\d\d-\d\dT[0-9:.]+Z"', f'"{NOW}"', text))


def beside(base, saved):
    """What a cluster has that the base has not, by source."""
    part = {}
    for source, read in saved["inventory"].items():
        if not isinstance(read, dict) or not isinstance(read["value"], list):
            continue
        known = base["inventory"][source]["value"]
        more = [it for it in read["value"] if it not in known]
        if more:
            part[source] = more
    return part


def written(value):
    """JSON with a line for each thing that was read."""
    if "version" in value:
        return json.dumps(value, indent=1) + "\n"
    sources = (
        f' {json.dumps(source)}: [\n' + ",\n".join(f"  {json.dumps(it)}" for it in things) + "\n ]"
        for source, things in value.items()
    )
    return "{\n" + ",\n".join(sources) + "\n}\n"


def main():
    exporter, *cases = sys.argv[1:]
    base_objects = objects_of("base")
    base = save(exporter, Cluster(json.loads(json.dumps(base_objects))))
    (HERE / "base" / "saved.json").write_text(written(base), encoding="utf-8")
    for folder in sorted(HERE.glob("*/objects.jsonl")):
        case = folder.parent.name
        if case == "base" or (cases and case not in cases):
            continue
        cluster = Cluster(json.loads(json.dumps(base_objects)) + objects_of(case))
        part = beside(base, save(exporter, cluster))
        (folder.parent / "saved.json").write_text(written(part), encoding="utf-8")


if __name__ == "__main__":
    main()
