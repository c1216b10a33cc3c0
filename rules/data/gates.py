"""Derives `components.gates` of components.yaml from upstream's own lists of feature gates."""

import re
import textwrap

LIST = "https://github.com/kubernetes/kubernetes/blob/{}/test/compatibility_lifecycle/reference/versioned_feature_list.yaml"


def gates(path):
    """Each gate with its specs: version, default, whether it is locked."""
    found, name, spec = {}, None, {}
    for line in path.read_text(encoding="utf-8").splitlines():
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


class Loosened(Exception):
    """Gates that are no longer locked, which the section cannot say."""


def derive(releases):
    """What each release changes for the one before it, and the gates that none of them removes or locks.

    Releases ascend; the first one is only compared with. Each has its version, its minor and where its list is.
    """
    lists = [(release.version, release.minor, gates(release.gates())) for release in releases]
    changed, rows = set(), []
    for (_, before, old), (version, minor, new) in zip(lists, lists[1:]):
        locks = {name: locked(specs, minor) for name, specs in new.items()}
        fresh = {name: to for name, to in locks.items() if to and locked(old.get(name, []), before) != to}
        if loose := [name for name in new if locked(old.get(name, []), before) and not locks[name]]:
            raise Loosened(f"{version}: no longer locked, which the section cannot say: {', '.join(sorted(loose))}")
        row = {"minor": minor, "removed": set(old) - set(new), "locked": fresh, "source": LIST.format(version)}
        changed.update(row["removed"], fresh)
        rows.append(row)
    return rows, {name for _, _, known in lists for name in known} - changed


def section(rows, steady):
    """What takes the place of `gates` and `other_gates`."""
    text = "  gates:\n"
    for row in rows:
        text += f'    - minor: "{row["minor"][0]}.{row["minor"][1]}"\n      source: "{row["source"]}"\n'
        text += listed("      ", "removed", row["removed"], "[]")
        text += listed("      ", "locked", [f"{name}: {to}" for name, to in row["locked"].items()], "{}")
    return text + listed("  ", "other_gates", steady, "[]")


def listed(indent, name, names, brackets):
    # A name and its value stay on one line.
    text = ", ".join(sorted(names, key=str.lower)).replace(": ", ":\u00a0")
    lines = textwrap.wrap(text, 116 - len(indent), initial_indent=" " * (len(name) + 2))
    body = f"\n{indent}  ".join(lines).strip().replace("\u00a0", " ")
    return f"{indent}{name}: {brackets[0]}{body}{brackets[1]}\n"
