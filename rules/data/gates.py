#!/usr/bin/env python3
"""Derives `components.gates` of components.yaml from upstream's own lists of feature gates.

Usage: gates.py v1.33.13=FILE v1.34.4=FILE …    in ascending order; the first one is only compared with

Each FILE is that release's test/compatibility_lifecycle/reference/versioned_feature_list.yaml, as it lies in the Go module
k8s.io/kubernetes. What is printed takes the place of `gates` and `other_gates`.
"""

import re
import sys
import textwrap

LIST = "https://github.com/kubernetes/kubernetes/blob/{}/test/compatibility_lifecycle/reference/versioned_feature_list.yaml"


def gates(path):
    """Each gate with its specs: version, default, whether it is locked."""
    found, name, spec = {}, None, {}
    for line in open(path, encoding="utf-8"):
        if match := re.match(r"- name: (\S+)", line):
            name = match[1]
            found[name] = []
        elif match := re.match(r"  [- ] (\w+): \"?([\w.]+)\"?$", line):
            spec[match[1]] = match[2]
            if match[1] == "version":
                version = tuple(map(int, match[2].split(".")))
                found[name].append((version, spec["default"], spec["lockToDefault"] == "true"))
                spec = {}
    return found


def locked(specs, minor):
    """What a gate is locked to in a minor, if it is."""
    known = [spec for spec in specs if spec[0] <= minor]
    return max(known)[1] if known and max(known)[2] else None


def listed(indent, name, names, brackets):
    # A name and its value stay on one line.
    text = ", ".join(names).replace(": ", ":\u00a0")
    lines = textwrap.wrap(text, 116 - len(indent), initial_indent=" " * (len(name) + 2))
    body = f"\n{indent}  ".join(lines).strip().replace("\u00a0", " ")
    print(f"{indent}{name}: {brackets[0]}{body}{brackets[1]}")


def main():
    lists = []
    for argument in sys.argv[1:]:
        release, path = argument.split("=", 1)
        major, minor, _patch = release.removeprefix("v").split(".")
        lists.append((release, (int(major), int(minor)), gates(path)))
    changed = set()
    print("  gates:")
    for (_, before, old), (release, minor, new) in zip(lists, lists[1:]):
        removed = sorted(set(old) - set(new), key=str.lower)
        locks = {name: locked(specs, minor) for name, specs in new.items()}
        fresh = [name for name, to in locks.items() if to and locked(old.get(name, []), before) != to]
        fresh.sort(key=str.lower)
        loose = [name for name in new if locked(old.get(name, []), before) and not locks[name]]
        if loose:
            sys.exit(f"{minor}: no longer locked, which the section cannot say: {loose}")
        changed.update(removed, fresh)
        print(f'    - minor: "{minor[0]}.{minor[1]}"')
        print(f'      source: "{LIST.format(release)}"')
        listed("      ", "removed", removed, "[]")
        listed("      ", "locked", [f"{name}: {locks[name]}" for name in fresh], "{}")
    steady = sorted({name for _, _, known in lists for name in known} - changed, key=str.lower)
    listed("  ", "other_gates", steady, "[]")


main()
