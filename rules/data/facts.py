#!/usr/bin/env python3
"""Holds the facts beside this file to the sources of Kubernetes, and tells which of the others are how old.

    facts.py [--write] [VERSION...]     such as v1.36.3: the release of a minor to read, where it is not the newest one listed

What follows from the sources is compared: feature gates, kinds that go, flags and admission plugins that go, and whether the
floors of etcd and the row of CoreDNS know each one that kubeadm installs. What differs is told, and as a patch where nothing is left to judge;
--write makes that change. Exit code: 0 nothing differs, 1 something does, 2 it could not be compared.
"""

import argparse
import datetime
import difflib
import os
import pathlib
import shutil
import sys
import textwrap

import compare
import plain_yaml
import upstream
from compare import dotted, minor_of

HERE = pathlib.Path(__file__).resolve().parent
# How many names are told of one difference; the patch has all of them.
NAMES_MAX = 6
# What is compared, and so need not be looked up.
COMPARED = {"components": ("gates", "other_gates", "flags", "admission_plugins"), "removed_apis": ("kinds",)}
# As in rules/src/facts: what is older says nothing.
AGE_DAYS_MAX = 180


class Facts:
    """The files beside this one: their texts, what they say, and what they shall say."""

    def __init__(self, folder):
        self.folder = folder
        self.old = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
        self.new = dict(self.old)
        self.said = {}
        for name, text in self.old.items():
            try:
                self.said[name] = plain_yaml.load(text)
            except plain_yaml.Unread as why:
                raise upstream.NotThere(f"{name}: {why}") from why

    def patch(self):
        lines = []
        for name, new in self.new.items():
            if new != self.old[name]:
                at = f"rules/data/{name}"
                old = self.old[name].splitlines(keepends=True)
                lines += difflib.unified_diff(old, new.splitlines(keepends=True), f"a/{at}", f"b/{at}")
        return "".join(lines)

    def write(self):
        for name, new in self.new.items():
            if new != self.old[name]:
                (self.folder / name).write_text(new, encoding="utf-8")


# ---- what a person must look up --------------------------------------------------------------------------------


def ages(facts):
    """Each section, or each row with a day of its own: (name, day, sources)."""
    found = []
    for said in facts.said.values():
        for section, value in said.items():
            if section in ("schema", "as_of", "max_age_days"):
                continue
            if section in COMPARED:
                value = {key: said for key, said in value.items() if key not in COMPARED[section]}
            rows = [row for row in value if isinstance(row, dict) and row.get("as_of")] if isinstance(value, list) else []
            found += [(f"{section} {row['name']}", row["as_of"], sources(row)) for row in rows]
            others = [row for row in value if row not in rows] if rows else value
            if others:
                found.append((section, said["as_of"], sources(others)))
    return sorted(found, key=lambda row: (row[1], row[0]))


def sources(value):
    """Every page that a value names, each once."""
    if isinstance(value, list):
        return list(dict.fromkeys(page for one in value for page in sources(one)))
    if isinstance(value, dict):
        own = [value["source"]] if isinstance(value.get("source"), str) else []
        return list(dict.fromkeys(own + [page for one in value.values() for page in sources(one)]))
    return []


# ---- how it is told --------------------------------------------------------------------------------------------


def table(head, rows, paint=lambda row: ""):
    """Rows as columns that fit the terminal: the last one takes what is left, over several lines if it must."""
    width = max(shutil.get_terminal_size((120, 24)).columns, 60)
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head) - 1)]
    left = max(width - sum(widths) - 2 * len(widths) - 2, 20)
    for row in [head, *rows]:
        start = "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths))
        color = paint(row) if row is not head else "1"
        for line in textwrap.wrap(row[-1], left, break_on_hyphens=False) or [""]:
            print(painted(f"  {start}  {line}".rstrip(), color))
            start = " " * len(start)
    print()


def painted(text, color):
    is_plain = not color or os.environ.get("NO_COLOR") or not sys.stdout.isatty()
    return text if is_plain else f"\033[{color}m{text}\033[0m"


def few(names):
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def tell_rows(rows):
    table(["what", "minor", "which"], [(what, dotted(minor), f"{few(names)}: {why}".lstrip(": ")) for what, minor, names, why in rows])


def tell_kubeadm(releases):
    print("What kubeadm installs, and what becomes of its own feature gates:")
    rows, before = [], None
    for release in releases:
        installs, own, changes = release.kubeadm(), release.kubeadm_gates(), []
        if before is not None:
            changes += [f"{name} gone" for name in sorted(before.keys() - own.keys())]
            changes += [f"{name} locked" for name, to in own.items() if to is not None and before.get(name) is None]
        rows.append((release.version, installs["etcd"], installs["coredns"], ", ".join(changes)))
        before = own
    table(["kubeadm", "etcd", "CoreDNS", "its gates"], rows)


def tell_ages(facts, today):
    print("What else is stated, and a person must look up, the oldest first:")
    rows = []
    for name, as_of, pages in ages(facts):
        days = (today - datetime.date.fromisoformat(as_of)).days
        more = f" and {len(pages) - 1} more" if len(pages) > 1 else ""
        rows.append((name, as_of, days, (pages[0] if pages else "no source") + more))
    color = lambda row: "31" if int(row[2]) > AGE_DAYS_MAX else "33" if int(row[2]) > AGE_DAYS_MAX // 2 else ""
    table(["section or row", "as of", "days", "source"], rows, color)


def releases_of(facts, named):
    """A release of each minor that the file of gates knows, of the one before, and of all that are newer."""
    known = [minor_of(row["minor"]) for row in facts.said["components.yaml"]["components"]["gates"]]
    asked = {upstream.minor_of(version): version for version in named}
    first, last = min(known), max([*known, *asked, upstream.newest_minor()])
    minors = [(first[0], minor) for minor in range(first[1] - 1, last[1] + 1)]
    versions = [asked.get(minor) or upstream.newest(minor) for minor in minors]
    if strange := set(asked) - set(minors):
        raise upstream.NotThere(f"no row of the file and none of its neighbours is of {dotted(min(strange))}")
    print(f"facts: reading Kubernetes {' '.join(versions)}; Go's cache keeps what is fetched", file=sys.stderr)
    return [upstream.Release(version) for version in versions]


def compared(facts, releases):
    """What differs, and what is right and ought to be known."""
    differences, notes = [], []
    for comparison in (compare.gates_of, compare.kinds, compare.plugins, compare.kubeadm_gates, compare.coredns):
        differences += comparison(facts, releases)
    for comparison in (compare.flags, compare.etcd):
        found, more = comparison(facts, releases)
        differences, notes = differences + found, notes + more
    return differences, notes


def tell(facts, releases, is_written):
    differences, notes = compared(facts, releases)
    if differences:
        print(f"{len(differences)} facts differ from the sources of Kubernetes:")
        tell_rows(differences)
    else:
        print("Gates, kinds, plugins, flags, floors of etcd and CoreDNS are as the sources of Kubernetes say.\n")
    if notes:
        print("Right, and to be known:")
        tell_rows(notes)
    tell_kubeadm(releases)
    tell_ages(facts, datetime.datetime.now(datetime.timezone.utc).date())
    patch = facts.patch()
    if patch and is_written:
        facts.write()
        print("Written. Set as_of where all of a file has been looked at, then run the example `generate`.")
    elif patch:
        print(f"{patch}\nWRITE=1 makes this change. What is not in it a person must weigh.")
    return 1 if differences else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make the change that is shown as a patch")
    parser.add_argument("versions", metavar="VERSION", nargs="*")
    arguments = parser.parse_args()
    try:
        facts = Facts(HERE)
        return tell(facts, releases_of(facts, arguments.versions), arguments.write)
    except upstream.NotThere as why:
        print(f"facts: {why}", file=sys.stderr)
    except KeyError as why:
        print(f"facts: no file has {why} where it was; mend the comparison", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
