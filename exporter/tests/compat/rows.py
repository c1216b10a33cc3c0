"""The cases that must be there, by the row that asks for them."""

import json

from inputs import DIGITS, Inputs

CALICO = ("calico-system", "ds", "calico-node")
KYVERNO = ("kyverno", "deploy", "kyverno")
RISING = {"3.26": "1.33", "3.28": "1.35", "3.30": "1.36"}


def addon(ceilings, name="calico", workload=CALICO, image_re=r":v(\d+\.\d+)", **more):
    """One row of a matrix."""
    words = {"name": name, "namespace": workload[0], "kind": workload[1], "resource": workload[2]}
    return words | {"image_re": image_re, "max_k8s": ceilings} | more


def case(*addons, image="calico/node:v3.26.1", other="kyverno:v1.13.4", target="1.36.3", floors=None, **more):
    """Inputs for these add-ons."""
    matrix = {"addons": list(addons)} | ({"containerd_min": floors} if floors else {})
    more = {"matrix": json.dumps(matrix).encode(), "images": {CALICO: image, KYVERNO: other}} | more
    return Inputs(arguments=[target], **more)


def series(*labels, value="1"):
    """An answer of Prometheus."""
    result = [{"metric": one, "value": [0, value]} for one in labels]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def api(release="1.36", **labels):
    """The labels of a deprecated API."""
    named = {"group": "apps", "version": "v1beta1", "resource": "deployments", "removed_release": release}
    return {key: value for key, value in (named | labels).items() if value is not ...}


KYVERNO_ROW = {"name": "kyverno", "workload": KYVERNO}
BELOW = "n1 containerd://1.7.20\n"


def addon_rows():
    """M01 to M23."""
    yield "M01", case(addon(RISING), image="calico/node:v3.30.1", target="v1.36.3")
    yield "M02", case(addon({"3.26": "1.33", "3.30": "1.36", "3.28.0": "1.36"}))
    yield "M03", case(addon({"3.26": "1.33"}))
    yield "M04", case(addon(RISING, pinned=True, pin_reason="its driver"))
    yield "M05", case(addon(RISING, pinned=True))
    yield "M05", case(addon(RISING, pinned=True, pin_reason=None))
    yield "M06", case(addon(RISING, pinned=True), image="calico/node:v3.30.0")
    yield "M07", case(addon(RISING), addon({"1.12": "1.34"}, **KYVERNO_ROW))
    yield "M08", case(addon({"3.26": "1.31"}), target="1.35.9")
    yield "M09", case(addon({"3.26": "1.31"}), target="1.35")
    yield "M09", case(addon({"3.26": "1.31"}), target="1.34.2")
    yield "M10", case(addon(RISING), kubelets="")
    yield "M10", case(addon(RISING), kubelets="unknown\n", target="1.30.0")
    yield "M11", case(addon({"3.26": "1.31"}), kubelets="unknown\nv1.36.0\nv1.x\n")
    yield "M12", case(addon({"3.26": "1.31"}), kubelets="v1.36.0\nv1.35.9\nv1.36.0\n")
    yield "M13", case(addon({"3.9": "1.36", "3.10": "1.34", "3.26": "1.36"}), image="calico/node:v3.10.4")
    yield "M14", case(addon(RISING), image="calico/node:v3.27.9")
    yield "M15", case(addon(RISING), image="calico/node:v3.99.0")
    yield "M15", case(addon({"3.26": "1.33", "3.28": "1.35"}), image="calico/node:v4.1.0")
    yield "M16", case(addon(RISING), image="calico/node:v3.25.0")
    yield "M16", case(addon({}))
    yield "M16", case(addon(RISING, pinned=True), image="calico/node:v3.25.0")
    yield "M16", case(addon({}, pinned=True))
    yield "M17", case(addon({"3.26": "1.36", "3.28": "1.34"}), image="calico/node:v3.28.0")
    yield "M18", case(addon({"3.26.2": "1.33", "3.26.0": "1.36"}))
    yield "M18", case(addon({"3.26.0": "1.36", "3.26.2": "1.33"}))
    for image in ["calico/node@sha256:0a0a", "calico/node:latest", "", "\n"]:
        yield "M19", case(addon(RISING), image=image)
        yield "M19", case(addon(RISING, pinned=True), image=image)
    yield "M19", case(addon(RISING), images={})
    yield "M20", case(addon(RISING), image="calico/node:v3.30.1@sha256:0a0a")
    yield "M20", case(addon(RISING), image="10.96.0.1:5000/calico/node:v3.30.1")
    yield "M20", case(addon(RISING, image_re=r":v?(\d+\.\d+)"), image="r:5000/calico/node:v3.26@sha256:0a")
    yield "M21", case(addon(RISING), image="side/car:v3.26.0 calico/node:v3.30.1")
    yield "M21", case(addon(RISING, image_re=r"node:v(\d+\.\d+)"), image="side/car:v3.26.0 calico/node:v3.30.1")
    yield "M22", case(addon(RISING, image_re=r":(v\d+\.\d+\.\d+)"))
    yield "M23", case(addon(RISING, image_re=r":v(?P<v>\d+\.\d+)(?P=v)?"))
    yield "M23", case(addon(RISING, image_re=r"(?<=:)v(\d+\.\d+)(?=-gpu)"), image="node:v3.30.1 node:v3.26-gpu")
    yield "M23", case(addon(RISING, image_re=r"(?<!/)v(\d+\.\d+)\Z"), image="v3.30 x:v3.26")
    yield "M23", case(addon(RISING), image="calico/node:v３.\u0662\u0666")
    yield "M23", case(addon(RISING, image_re=r"(\d+\.\d+)$"), image="node:v3.30.1 x:v3.26")


def prometheus_rows():
    """M24 to M30."""
    for release in ["1.36", "1.32", "1.37"]:
        yield "M24", case(prometheus=series(api(release)))
    for release in ["", ..., None, "next"]:
        yield "M25", case(prometheus=series(api(release)))
    yield "M26", case(prometheus=series(api(), value="0"))
    yield "M27", case(prometheus=series(api(), api(), api()))
    yield "M28", case(prometheus=series(api(group="", version=..., resource=...)))
    yield "M28", case(prometheus=series(api(group=..., version=None, resource=7)))
    odd = ["<html>Sign in</html>", "", '{"data":null}', '{"data":{"result":null}}', "[]", '{"data":{"result":[{"value":[0,"1"]}]}}']
    odd += ['{"data":{"result":[{"metric":{"removed_release":136}}]}}', '{"data":{"result":7}}', '{"data":{"result":["x"]}}']
    for body in [503, *(text.encode() for text in odd)]:
        yield "M29", case(prometheus=body)
    yield "M30", case(prometheus=series(api(), api(136), api()))


def containerd_rows():
    """M31 to M34."""
    for runtime in ["1.6.33", "1.7.1", "2.0.0", "1.7.0-rc.1", "1.6.24+azure"]:
        yield "M31", case(floors={"1.36": "1.7"}, runtimes=f"n1 containerd://{runtime}\n")
    yield "M32", case(floors={"1.37": "2.0", "1.36.0": "2.0"}, runtimes=BELOW)
    yield "M33", case(floors={"1.36": "1.7.28"}, runtimes=BELOW)
    yield "M34", case(floors={"1.35": "2.0"}, runtimes=BELOW, target="1.35.9")


def input_rows():
    """M35 to M42."""
    for target in ["v1.35", "1.35.6", "1.35.0-rc.1", "v1.35.3+k3s1", "1.035", "1.３５"]:
        yield "M35", case(addon(RISING), target=target, kubelets="v1.34.1\n")
    for target in ["", "1", "stable", "1.x", "1,35", "1..35"]:
        yield "M36", case(addon(RISING), target=target)
    yield "M37", Inputs(arguments=[])
    yield "M37", Inputs(arguments=["1.36.3", "1.99", "--help"])
    for body in [b"", b'{"addons": [', b"\xef\xbb\xbf{}", b"{} {}", b"{'a': 1}", b'{"a": "\xff"}', b"\n\n {"]:
        yield "M38", Inputs(matrix=body)
    for body in [b"{}", b'{"addons": {}}', b'{"addons": ""}', b'{"schema-of": [null], "x": NaN}', b'{"containerd_min": {}}']:
        yield "M39", Inputs(matrix=body)
    for running in ["1.36", "", "garbage", "1.35.9"]:
        yield "M40", case(addon({"3.26": "1.33"}), running=running)
        yield "M40", case(addon({"3.26": "1.33"}), running=running, target="1.34.1")
    row = json.dumps(addon(RISING))
    twice = row.replace('"max_k8s": {', '"max_k8s": {"3.28": "1.30", "3.26.0": "1.36", "3.26.9": "1.30", "3.28": "1.36", ')
    for body in ['{"addons": [null], "addons": []}', f'{{"addons": [], "x": 1, "addons": [{row}]}}', f'{{"addons": [{twice}]}}']:
        yield "M41", case(matrix=body.encode())
    for target in ["1.34.1", "1.37.0", "2.0.0"]:
        yield "M42", case(addon({"3.26": "1.37"}), target=target)


def broken_rows():
    """Where the first gate breaks off."""
    for more in [{"max_k8s": {"3.x": "1.36", "3.26": "1.36"}}, {"max_k8s": {"3.x": "1.36"}}, {"max_k8s": {"3.26": 1.36}}]:
        yield "H15", case(addon(RISING, **more))
    for ceilings in [None, [], {"3.26": "soon"}, {"3.26": ""}, {"3.26": None}, {"3.26": "1.30", "3.28": 7}, {"3.26": "1.30", "3.28": None}]:
        yield "H15", case(addon(ceilings))
    for field in ["name", "namespace", "kind", "resource", "image_re", "max_k8s"]:
        row = addon(RISING)
        del row[field]
        yield "H15", case(row)
        yield "H15", case(row, target="1.35.9")
        yield "H15", case(addon(RISING) | {field: 7})
    for body in [b"null", b"[]", b"7", b'"x"', b'{"addons": null}', b'{"addons": [[]]}', b'{"addons": "x"}', b'{"containerd_min": null}']:
        yield "H15", Inputs(matrix=body)
    for floor in [7, "soon", ["2.0"], None, ""]:
        yield "H15", case(floors={"1.36": floor}, runtimes="n0 unknown\nn1 containerd://1.6.0\n")
    for ceilings in [{"3." + DIGITS: "1.36"}, {"3.26": "1." + DIGITS}]:
        yield "H15", case(addon(ceilings))
    for floor in ["2." + DIGITS, "2.0"]:
        yield "H15", case(floors={"1.36": floor}, runtimes=f"n1 containerd://1.{DIGITS if floor == '2.0' else 6}\n")
    yield "H15", case(addon(RISING), prometheus=series(api(), api("1." + DIGITS)))
    yield "M38", Inputs(matrix=b'{"a": ' + DIGITS.encode() + b"}")
    for image_re in [r":v\d+", r"(gpu)?calico", r"(calico)", "(", r"(a", r":v(?P<v>\d", r"*", r"(\d+\.\d+)\8"]:
        yield "H14", case(addon(RISING, image_re=image_re), addon({"1.12": "1.34"}, **KYVERNO_ROW))
    for image_re in [r"(a)?(?(1)b|:v(\d+))", r"\N{COLON}v(\d+\.\d+)", r"((?:\d|\.)*)*v"]:
        yield "S14", case(addon(RISING, image_re=image_re))


def cases():
    """All of them."""
    for rows in [addon_rows, prometheus_rows, containerd_rows, input_rows, broken_rows]:
        yield from rows()
