"""Compares the facts beside this file with the sources of Kubernetes.

Each comparison gives what differs, as (what, minor, names, what is wrong), and puts what is certain into the new text of
its file. Some also give what is right and ought to be known.
"""

import re

import gates
import plain_yaml
import upstream


def gates_of(facts, releases):
    said = facts.said["components.yaml"]["components"]
    try:
        rows, steady = gates.derive(releases)
    except gates.Loosened as why:
        return [("feature gates", "", [], str(why))]
    known = {minor_of(row["minor"]): row for row in said["gates"]}
    found = []
    for row in rows:
        told = known.get(row["minor"])
        if told is None:
            count = len(row["removed"]) + len(row["locked"])
            found.append(("feature gates", row["minor"], [], f"no row; {count} gates go or are locked"))
            continue
        # The values are texts in upstream's list.
        locked = {f"{name}: {str(to).lower()}" for name, to in told["locked"].items()}
        found += both("removed gates", row["minor"], set(told["removed"]), row["removed"])
        found += both("locked gates", row["minor"], locked, {f"{name}: {to}" for name, to in row["locked"].items()})
    found += both("other gates", "", set(said["other_gates"]), steady)
    if found:
        replace_gates(facts, gates.section(rows, steady), releases[0].version)
    return found


def replace_gates(facts, section, first):
    text = facts.new["components.yaml"]
    block = re.compile(r"^  gates:\n.*?^  other_gates:.*?(?=^ {0,2}\S)", re.S | re.M)
    if not block.search(text):
        raise upstream.NotThere("components.yaml: no gates and other_gates before another key")
    text = block.sub(lambda _: section, text, count=1)
    facts.new["components.yaml"] = re.sub(r"(from the lists of )v[\d.]+", rf"\g<1>{first}", text, count=1)


def going(releases):
    """Each kind that goes: the minor that its types declare, if they do, and the first one without them, if one is."""
    found, before = {}, None
    for release in releases:
        has, had = release.kinds(), before.kinds() if before else {}
        for kind in had.keys() - has.keys():
            if had[kind] or before.serves(*kind):
                found[kind] = (had[kind], release.minor)
        for kind, declared in has.items():
            # One that comes back goes no more.
            found.pop(kind, None)
            if declared:
                found[kind] = (declared, None)
        before = release
    return found


def kinds(facts, releases):
    """What went before the first release that is read, these releases do not tell."""
    items = [row_of(line) or line for line in facts.new["removed-apis.yaml"].split("\n")]
    known = {kind: row for row in items if isinstance(row, dict) for kind in kinds_of(row)}
    said = facts.said["removed-apis.yaml"]["removed_apis"]["kinds"]
    if known.keys() != {kind for row in said for kind in kinds_of(row)}:
        raise upstream.NotThere("removed-apis.yaml: its kinds are not one row a line")
    ever = set().union(*(release.kinds() for release in releases))
    upstreams, first, wrong, found = going(releases), releases[0].minor, {}, []
    for kind, ends in upstreams.items():
        told = known.get(kind)
        if told and is_right(told, ends, first):
            continue
        why = f"the file says {span(ends_of(told))}, upstream {span(ends)}" if told else "not in the file"
        found.append(("kinds that go", soonest(ends), [api_kind(kind)], why))
        wrong.setdefault((kind[:2], ends), set()).add(kind[2])
    for kind, told in known.items():
        if kind in ever and kind not in upstreams and soonest(ends_of(told)) > first:
            found.append(("kinds that go", soonest(ends_of(told)), [api_kind(kind)], "upstream does not say that it goes"))
    if wrong:
        facts.new["removed-apis.yaml"] = with_kinds(items, known, wrong)
    return sorted(found)


def is_right(row, ends, first):
    told, is_declared = ends_of(row), ends[0] in (None, minor_of(row["removed"]))
    return is_declared and (soonest(told) == soonest(ends) or soonest(told) <= first)


def with_kinds(items, known, wrong):
    """The file with each kind in a row of its like; a row that is left empty goes."""
    for (api, ends), names in sorted(wrong.items(), key=lambda entry: (soonest(entry[0][1]), entry[0][0])):
        row = {"group": api[0], "version": api[1], "kinds": [], "removed": dotted(ends[0] or ends[1])}
        if ends[0] and ends[1] and ends[1] < ends[0]:
            row["gone"] = dotted(ends[1])
        for name in names:
            if told := known.get((*api, name)):
                told["kinds"].remove(name)
        rows = [(at, item) for at, item in enumerate(items) if isinstance(item, dict) and "source" not in item]
        like = [item for _, item in rows if {**item, "kinds": []} == row]
        if not like:
            items.insert(1 + max(at for at, item in rows if order(item) <= order(row)), row)
        (like or [row])[0]["kinds"] = sorted({*names, *(like or [row])[0]["kinds"]})
    rows = [item for item in items if not isinstance(item, dict) or item["kinds"]]
    return "\n".join(line_of(item) if isinstance(item, dict) else item for item in rows)


def row_of(line):
    """A row of kinds, which is one line."""
    return plain_yaml.load(line.strip()[2:]) if line.startswith("    - {group: ") else None


def line_of(row):
    more = "".join(f', {key}: "{row[key]}"' for key in ("removed", "gone", "source") if key in row)
    return f'    - {{group: {row["group"] or chr(34) * 2}, version: {row["version"]}, kinds: [{", ".join(row["kinds"])}]{more}}}'


def kinds_of(row):
    return {(row["group"], row["version"], name) for name in row["kinds"]}


def ends_of(row):
    return minor_of(row["removed"]), minor_of(row["gone"]) if "gone" in row else None


def soonest(ends):
    return min(end for end in ends if end)


def order(row):
    return minor_of(row["removed"]), row["group"], row["version"]


def flags(facts, releases):
    """A flag that is gone from all that a component is made of is gone. The opposite only a person can say."""
    said = facts.said["components.yaml"]["components"]["flags"]
    known = {}
    for row in said:
        known.setdefault((row["component"], minor_of(row["removed"])), set()).update(row["flags"])
    found, notes = [], []
    for before, after in zip(releases, releases[1:]):
        old, new = before.flags(), after.flags()
        for component in old:
            told = known.pop((component, after.minor), set())
            what = f"flags of {component}"
            gone = old[component] - new[component]
            if missing := gone - told:
                found.append((what, after.minor, sorted(missing), "gone, and not in the file"))
            if never := told - old[component]:
                found.append((what, after.minor, sorted(never), f"in the file, and {before.version} has no such flag"))
            if stays := told & new[component]:
                notes.append((what, after.minor, sorted(stays), "in the file; its sources still have them, used or not"))
    return found, notes


def plugins(facts, releases):
    said = facts.said["components.yaml"]["components"]["admission_plugins"]
    found = []
    for before, after in zip(releases, releases[1:]):
        told = {row["name"] for row in said if minor_of(row["removed"]) == after.minor}
        found += both("admission plugins", after.minor, told, before.admission_plugins() - after.admission_plugins())
    return found


def kubeadm_gates(facts, releases):
    """kubeadm's own feature gates, where the file has them."""
    said = facts.said["components.yaml"]["components"].get("kubeadm")
    found = []
    for before, after in zip(releases, releases[1:]) if said else []:
        told = {row["name"] for row in said["gates"] if minor_of(row["removed"]) == after.minor}
        found += both("gates of kubeadm", after.minor, told, before.kubeadm_gates().keys() - after.kubeadm_gates().keys())
    return found


def coredns(facts, releases):
    """Whether each CoreDNS that is newer than a kubeadm's is kept for the minor after it, where the file has CoreDNS."""
    rows = [row for row in facts.said["addons.yaml"]["addons"] if row["name"] == "coredns"]
    # Of two minors with the same one the later counts.
    newest = {release.kubeadm()["coredns"]: release for release in releases}
    found = []
    for version, release in newest.items() if rows else []:
        major, minor, patch = numbers(version)
        above, after = f"{major}.{minor}.{patch + 1}", (release.minor[0], release.minor[1] + 1)
        if rows[0]["min_k8s"].get(above) != dotted(after):
            found.append(("CoreDNS", after, [above], f"kubeadm {release.version} installs {version}, so this is the first for it"))
    return found


def etcd(facts, releases):
    """Whether each new minor of etcd has a floor; and which floors a cluster as kubeadm makes it does not reach."""
    floors = {minor_of(row["target_from"]): row["release"] for row in facts.said["nodes.yaml"]["etcd"]}
    found, notes = [], []
    for before, after in zip(releases, releases[1:]):
        old, new = before.kubeadm()["etcd"], after.kubeadm()["etcd"]
        floor = floors.get(after.minor)
        if numbers(old)[:2] != numbers(new)[:2] and floor is None:
            found.append(("floors of etcd", after.minor, [], f"none, and kubeadm goes from {old} to {new}"))
        if floor and numbers(old) < numbers(floor):
            notes.append(("floors of etcd", after.minor, [floor], f"kubeadm {before.version} installs {old}, which is below it"))
    return found, notes


def both(what, minor, told, upstreams):
    """What only one of both has."""
    found = []
    if missing := upstreams - told:
        found.append((what, minor, sorted(missing), "not in the file"))
    if more := told - upstreams:
        found.append((what, minor, sorted(more), "in the file, and not upstream"))
    return found


def minor_of(text):
    major, minor = text.split(".")
    return int(major), int(minor)


def numbers(text):
    """A release such as 3.6.8-0; the number of its build is no part of it."""
    return tuple(map(int, text.split("-")[0].split(".")))


def dotted(minor):
    return f"{minor[0]}.{minor[1]}" if minor else ""


def span(ends):
    """What is said of the end of a kind."""
    declared, gone = ends
    types = f"types gone in {dotted(gone)}" if gone else ""
    return ", ".join(filter(None, (dotted(declared), types)))


def api_kind(kind):
    return f"{kind[0]}/{kind[1]} {kind[2]}".lstrip("/")
