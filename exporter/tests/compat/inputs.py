"""Makes inputs of the first gate: most of them likely, some odd, a few broken."""

import json
import random
from dataclasses import dataclass, field


@dataclass
class Inputs:
    """What the gate reads. `images` maps (namespace, kind, name) to what kubectl prints; `prometheus` is a body or the
    number of an HTTP error."""

    arguments: list = field(default_factory=lambda: ["1.36.3"])
    matrix: bytes = b"{}"
    running: str | None = None
    images: dict = field(default_factory=dict)
    kubelets: str = "v1.35.1\n"
    runtimes: str = "n1 containerd://2.0.1\n"
    prometheus: bytes | int = b'{"status":"success","data":{"resultType":"vector","result":[]}}'


class Raw(str):
    """JSON text that is written as it is."""


class Pairs(list):
    """An object whose keys may come twice."""


def dump(value, escapes=False):
    """JSON as `json.dumps` writes it, with `Raw` and `Pairs`."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, (dict, Pairs)):
        items = value.items() if isinstance(value, dict) else value
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=escapes)}:{dump(v, escapes)}" for k, v in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(v, escapes) for v in value) + "]"
    return json.dumps(value, ensure_ascii=escapes)


DIGITS = "9" * 4301
ADDONS = [
    ("calico", "calico-system", "ds", "calico-node", "docker.io/calico/node", "3.", [20, 26, 28, 29, 30, 32]),
    ("cilium", "kube-system", "DaemonSet", "cilium", "quay.io/cilium/cilium", "1.", [9, 10, 14, 16, 18]),
    ("kyverno", "kyverno", "deploy", "kyverno", "ghcr.io/kyverno/kyverno", "1.", [10, 12, 13, 15, 17]),
    ("eso", "external-secrets", "deploy", "external-secrets", "oci.eso.dev/eso", "0.", [9, 10, 12, 14, 20]),
    ("gpu-operator", "gpu", "deployment", "gpu-operator", "nvcr.io/nvidia/gpu-operator", "2", [4.9, 5.3, 5.1, 6.3]),
]
TARGETS = (
    ["1.36.3"] * 8 + ["1.36", "v1.36.0", "1.35.9", "1.37.0", "1.37", "1.38.0", "1.34.2", "2.0.0", "1.36.0-rc.1"] * 2
    + ["v1.36.3+k3s1", "1.036", "k8s-1.36-foo", "-1.36", "release 1.34 to 1.36", "１.３６", "\u0661.\u0663\u0666", "1.9"]
    + ["10.36", "0.1", "1.36 \n", "1.9999999999999999999999", "", "1", "stable", "1.x", "1,35", "1..35", "1." + DIGITS]
)
KUBELETS = [
    "v1.35.1\nv1.35.1\n", "v1.35.1\nv1.35.1\n", "v1.35.1\n", "v1.36.0\nv1.35.4\nv1.36.0\n", "v1.36.1\n", "v1.37.0\n", "",
    "unknown\nv1.34.2\n\n", "unknown\n", "v1.34.9\nv1.35.6\n", " v1.9.1\r\nv1.10.0\r\n", "v1.35.1\x0bv1.34.0\n",
    "v1.35.1+k3s1\u2028v1.35.0", "v１.３４.0\n", "v1." + DIGITS + "\n", "x1.35 1.2\n", "v1.99999999999999999999\nv1.36\n",
]
RUNTIMES = [
    "n1 containerd://2.0.1\nn2 containerd://2.1.0\n", "n1 containerd://1.7.28\nn2 containerd://2.0.0\n", "",
    "n1 containerd://1.6.33\nn2 containerd://1.7.2\nn3 containerd://1.7.27\n", "n1 containerd://2.0.0-rc.1\n",
    "n1 containerd://1.7.24+azure\n", "n1 cri-o://1.36.1\nn2 docker://20.10.7\n", "n1 containerd://unknown\nn2\n\nn3 \n",
    "  n1 containerd://1.6.1\n n2 containerd://1.6.1\n", "n1\tcontainerd://1.6.1\nn2  containerd://1.6.1 x\n",
    "n1 containerd://containerd://1.5.9\nn2 containerd://1.10.0\n", "n1 containerd://1." + DIGITS + "\n",
    "n1 containerd://1.6\x1cn2 containerd://1.6\x85\x1f\nn3 containerd://1.6.9", "n１ containerd://１.６.2\n",
]
ODD = [
    None, True, False, 0, 1, -1, 1.5, 35, Raw("-0"), Raw("-0.0"), Raw("1E5"), Raw("1e-7"), Raw("123456789012345678901234567890"),
    Raw("1e400"), Raw("NaN"), Raw("-Infinity"), Raw("0.1e17"), "", "x", "false", "1.35", "v1.36", "1.36.2", 1.36, "it's", 'a"b',
    "latest", "\t\n\\", "\u00e9\u200b\U0001f600", [], [1], ["a", None], {}, {"a": 1}, {"1.0": "1.37"}, [[]], "2.0", "0.0",
    [{"it's": 'a"b\'', "\x7f": [True, 1.0, "\ue000\xad"]}], "a\nb", "１.３６",
]
PATTERNS = [
    r":v(\d+\.\d+)", r":v(\d+\.\d+\.\d+)", r":(v\d+\.\d+)", r":v?(\d+\.\d+(?:\.\d+)?)", r"(?P<v>\d+\.\d+)", r":v(?P<v>\d+)\.",
    r"(\d+\.\d+)(?=[@-])", r"(?<!/)v(\d+\.\d+)", r"(?<=:)v?(\d+\.\d+)", r"(?i)/NODE:V(\d+\.\d+)", r"(\w+)$", r"v(\d+\.\d+)\Z",
    r"\bv(\d+\.\d+)\b", r":(latest|v\d+\.\d+)", r"(\d+)(\.\d+)", r":v(\d+\.\d+)(?:\.(\d+))?(-\w+)?", r"(gpu)?.*:v(\d+)",
    r"(x)?:", r":v\d+\.\d+", r"^(?:[^ ]+ )*[^ ]+:v(\d+\.\d+)", r"[/:]v([0-9]+[.][0-9]+)", r"(?x) : v ( \d+ \. \d+ ) # tag",
    r"(?s)(\d+\.\d+).*$", r"(?m)^(.+)$", r"(?a):v(\d+\.\d+)", r"(.)\1", r"(?P<a>[a-z])(?P=a)", r"(?:)", r"()", r"(?!)", r"(|a)",
    r"v(\d{1,2}\.\d{1,3})", r"v(\d{,2}.)", r"(\d++\.\d+)", r"(?>v?)(\d+\.\d+)", r"[\d.]{3,}?", r"([\d.]{3,})", r"\D(\d+\S+)",
    r"(", r"[", r"*", r"(?P<v>", r"a**", r"\q", r"(?<=a*)b", r"(?z)", r"(a)(?(1)b|c)", r"(\d+\.\d+)*", r":v(\d+\.\d+){1}",
    "", r"((\d+)\.(\d+))", r"(?i:NODE):v(\d+\.\d+)", r"(?-i:x)|v(\d+\.\d+)", r"\x76(\d+\u002e\d+)", r"\166(\d+\056\d+)", r"[^\W\d]+(\d+\.\d)",
]


def version(rng, addon):
    """A version of an add-on, near its floors."""
    base, floors = addon[5], addon[6]
    minor = str(rng.choice(floors)) if rng.random() < 0.6 else str(rng.randint(8, 34))
    return base + minor + rng.choice(["", ".0", ".1", ".4", ".10"])


def image(rng, addon):
    """What kubectl prints for the workload of an add-on."""
    name, tag = addon[4], version(rng, addon)
    return rng.choice(
        [f"{name}:v{tag}"] * 12
        + [f"{name}:{tag}", f"{name}:v{tag}@sha256:{'0a' * 8}", f"{name}@sha256:{'0a' * 8}", f"{name}:latest", "", " \n"]
        + [f"10.96.0.1:5000/{name}:v{tag}", f"side/car:v9.9 {name}:v{tag}", f"{name}:v{tag} side/car:v9.9", f"  {name}:v{tag} \n"]
        + [f"{name}:v{tag}-gpu", f"{name}:V{tag}", f"{name}:v3.x", f"{name}:v\u0663.\u0662\uff10", f"{name}:v{tag}\n", f"\u00e9/{name}:v{tag}"]
    )


def floors(rng, addon):
    """The `max_k8s` of an add-on: mostly rising ceilings, in any order."""
    count = rng.choice([0] + [1, 2, 3, 4] * 4)
    keys = sorted(rng.sample(addon[6], min(count, len(addon[6]))))
    ceiling, rows = rng.randint(30, 37), []
    for key in keys:
        ceiling += rng.choice([0, 0, 1, 1, 2, -1])
        text = addon[5] + str(key) + rng.choice(["", "", "", ".0", ".2"])
        rows.append((text, rng.choice(["1.", "1.", "1.", "v1."]) + str(ceiling) + rng.choice(["", "", "", ".4"])))
        if rng.random() < 0.1:
            rows.append((addon[5] + str(key) + ".9", f"1.{ceiling + rng.randint(-2, 2)}"))
    if rng.random() < 0.3:
        rng.shuffle(rows)
    if rows and rng.random() < 0.05:
        rows.append((rows[0][0], "1.39"))
    return Pairs(rows)


def row(rng, addon):
    """One add-on of a matrix."""
    pattern = rng.choice(PATTERNS) if rng.random() < 0.25 else random_pattern(rng) if rng.random() < 0.12 else r":v(\d+\.\d+(?:\.\d+)?)"
    entry = {"name": addon[0], "namespace": addon[1], "kind": addon[2], "resource": addon[3], "image_re": pattern}
    entry["max_k8s"] = floors(rng, addon)
    if rng.random() < 0.2:
        entry["pinned"] = rng.choice([True, True, False, "false", 1, 0, None, "", [0]])
    if rng.random() < 0.2:
        entry["pin_reason"] = rng.choice(["its driver", "", None, *ODD[:12], *ODD[24:40]])
    if rng.random() < 0.1:
        entry["notes"] = "anything"
    return entry


def random_pattern(rng, depth=0):
    """A pattern that is mostly one, over few letters."""
    def atom():
        kind = rng.randrange(12)
        if kind < 5:
            return rng.choice(["a", "b", "n", "o", "v", ":", "/", "\\.", "1", "3", "2"])
        if kind < 8:
            return rng.choice(["\\d", ".", "[a-z]", "[^:]", "[\\d.]", "\\w", "\\S", "[:/v]", "\\W", "[^\\d\\s]"])
        if kind == 8:
            return rng.choice(["^", "$", "\\b", "\\B", "\\A", "\\Z"])
        if depth > 2:
            return "o"
        inner = random_pattern(rng, depth + 1)
        opening = rng.choice(["(", "(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?P<x>"])
        return opening + inner + ")"

    text = ""
    for _ in range(rng.randint(1, 4)):
        text += atom() + rng.choice([""] * 6 + ["*", "+", "?", "{2}", "{1,3}", "+?", "*?", "??", "++", "{,2}", "{1,}"])
    if rng.random() < 0.2:
        text += "|" + atom()
    return text + (rng.choice(["\\1", "", ""]) if depth == 0 else "")


def places(value, found):
    """Every place in a JSON value, as (container, key)."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        if isinstance(value, Pairs):
            found.append((value, key))
            continue
        found.append((value, key))
        places(inner, found)
    return found


def mutated(rng, value):
    """The value with something odd in it."""
    for _ in range(rng.choice([1, 1, 1, 2])):
        all_places = places(value, [])
        if not all_places or rng.random() < 0.06:
            return rng.choice(ODD)
        container, key = rng.choice(all_places)
        if isinstance(container, Pairs):
            old = container[key]
            container[key] = rng.choice([(old[0], rng.choice(ODD)), (str(rng.choice(["", "x", "latest", "1.36", "2"])), old[1])])
        elif rng.random() < 0.3:
            del container[key]
        else:
            container[key] = rng.choice(ODD)
    return value


def scratched(rng, body):
    """Bytes with something wrong in them."""
    at = rng.randrange(len(body) + 1)
    return rng.choice(
        [body[:at], body[:at] + bytes([rng.randrange(256)]) + body[at + 1:], b"\xef\xbb\xbf" + body, body + b" \n", body + b"x", b""]
        + [body[:at] + body[at + 1:], body.replace(b",", b",\r\n "), body[:at] + b"\\u00e" + body[at:], b"\xff" + body, b" " + body]
    )


def matrix(rng):
    """The bytes of a matrix, and the add-ons in it."""
    addons = rng.sample(ADDONS, rng.choice([0, 1, 1, 1, 2, 2, 3]))
    value = {"addons": [row(rng, addon) for addon in addons]}
    if rng.random() < 0.6:
        value["containerd_min"] = {
            key: rng.choice(["2.0", "1.7.24", "1.7", "v2.0.0", "2.1"]) for key in rng.sample(["1.35", "1.36", "1.37", "1.37.0", "2.0"], 2)
        }
    if rng.random() < 0.1:
        value["comment"] = rng.choice(ODD)
    if rng.random() < 0.3:
        value = mutated(rng, value)
    if rng.random() < 0.03:
        value = Pairs([("addons", rng.choice(ODD)), *(value.items() if isinstance(value, dict) else ())])
    body = dump(value, rng.random() < 0.5).encode()
    return (scratched(rng, body) if rng.random() < 0.04 else body), addons


def answer(rng):
    """What Prometheus answers."""
    if rng.random() < 0.08:
        return rng.choice([503, 404, b"<html>Sign in</html>", b"", b"null", b"[]", b"{}", b'{"status":"error"}', b'{"data":{"result":{}}}'])
    groups = ["apps", "flowcontrol.apiserver.k8s.io", "", "policy", None]
    releases = ["1.36", "1.36", "1.32", "1.37", "1.40", "", "next", "v1.36.0", "2.0"]
    result = []
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        labels = {"group": rng.choice(groups), "version": "v1beta1", "resource": rng.choice(["flowschemas", "pdb"])}
        labels["removed_release"] = rng.choice(releases)
        result.append({"metric": labels, "value": [1763700000, rng.choice(["1", "0"])]})
        if rng.random() < 0.1:
            del labels[rng.choice(list(labels))]
    value = {"status": "success", "data": {"resultType": "vector", "result": result}}
    if rng.random() < 0.15:
        value = mutated(rng, value)
    body = dump(value, rng.random() < 0.5).encode()
    return scratched(rng, body) if rng.random() < 0.03 else body


def cases(seed, count):
    """So many inputs; a few in a row share a matrix, so that the record stays small."""
    rng = random.Random(seed)
    answers = [answer(rng) for _ in range(max(60, count // 12))]
    empty = Inputs().prometheus
    while count > 0:
        body, addons = matrix(rng)
        for _ in range(min(count, rng.randint(2, 6))):
            count -= 1
            inputs = Inputs(matrix=body, images={addon[1:4]: image(rng, addon) for addon in addons})
            inputs.arguments = [rng.choice(TARGETS)]
            inputs.kubelets = rng.choice(KUBELETS[:3]) if rng.random() < 0.6 else rng.choice(KUBELETS)
            inputs.runtimes = rng.choice(RUNTIMES)
            inputs.prometheus = empty if rng.random() < 0.5 else rng.choice(answers)
            if rng.random() < 0.03:
                inputs.arguments = rng.choice([[], [*inputs.arguments, "extra"]])
            if rng.random() < 0.06:
                inputs.running = rng.choice(["", "1.35", "v1.36.1", "garbage", "1.34", "1." + DIGITS])
            if rng.random() < 0.04:
                inputs.images = {}
            yield "", inputs
