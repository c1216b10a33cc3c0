"""What facts.py and its parts promise, on sources that are written here: `python3 rules/data/test_facts.py`."""

import pathlib
import tempfile
import types
import unittest

import compare
import gates
import plain_yaml
import upstream


def folder(files):
    """A folder with these files, for as long as it is held."""
    held = tempfile.TemporaryDirectory()
    for name, text in files.items():
        path = pathlib.Path(held.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return held


class Reading(unittest.TestCase):
    def test_yaml_is_read_as_the_files_are_written(self):
        text = """
# A comment.
a: "1.30"   # another one
b:
  - {c: [x, "y, z", 'it''s'], d: https://example.com/a#b}
  -
    e: true
    f: {g: 3,
      h: null}
i:
- 1.5
"""
        row = {"c": ["x", "y, z", "it's"], "d": "https://example.com/a#b"}
        rows = [row, {"e": True, "f": {"g": 3, "h": None}}]
        self.assertEqual(plain_yaml.load(text), {"a": "1.30", "b": rows, "i": [1.5]})

    def test_what_is_not_known_is_refused_with_its_line(self):
        for text, told in [
            ("a: |\n  b\n", "line 1"),
            ("a: &b c\n", "line 1"),
            ("a: 1\na: 2\n", "line 2: expected a once"),
            ("a: [1\n", "line 3"),
            ("a: 1\n  b: 2\n", "line 2"),
        ]:
            with self.assertRaisesRegex(plain_yaml.Unread, told):
                plain_yaml.load(text)

    def test_a_flag_counts_where_what_adds_it_is_used(self):
        main = 'package main\nimport "k/options"\nconst own = "own-flag"\nfunc main() {\n\toptions.Used(fs)\n'
        main += "\tfs.Int(own, 1, `u`)\n" + "".join(f'\tfs.Bool("filler-{n}", false, "u")\n' for n in range(10)) + "}\n"
        options = """package options
import "k/base"
type Unused struct{}
func (u *Unused) AddFlags(fs *FlagSet) { fs.StringVar(&u.a, "not-added", "", "usage") }
// Used calls fs.StringVar(&a, "in-a-comment", "", "").
func Used(fs *FlagSet) { x := base.Options{}; x.AddFlags(fs) }
"""
        base = """package base
type Options struct{}
func (o *Options) AddFlags(fs *FlagSet) {
	fs.Var(wrap(&o.a, "b, c"), "first_flag", "usage")
	fs.DurationVarP(&o.b, far.SecondFlag, "s", 0, "usage")
	register(global, local, "third-flag")
}
"""
        # Its module is not read.
        base = base.replace("package base\n", 'package base\nimport "elsewhere/far"\n')
        files = {"cmd/main.go": main, "options/o.go": options, "base/b.go": base, "base/b_test.go": base.replace("first", "no")}
        with folder(files) as root:
            found = upstream.Packages({"k": pathlib.Path(root)}).flags("k/cmd")
        self.assertEqual(
            {name for name in found if not name.startswith("filler")},
            {"own-flag", "first-flag", "second-flag", "third-flag"},
        )


def api(*kinds):
    """A release that has these kinds: of one group, `version Kind removed`."""
    found = {}
    for kind in kinds:
        version, name, removed = kind.split()
        found["apps", version, name] = compare.minor_of(removed) if removed != "-" else None
    return found


def release(minor, kinds):
    """A release of a minor that has these kinds, and serves those of them that are not internal."""
    return types.SimpleNamespace(minor=(1, minor), kinds=lambda: kinds, serves=lambda *kind: kind[2] != "Internal")


def ships(minor, etcd, coredns, *gates):
    """A release whose kubeadm installs these, and has these gates of its own."""
    installs = {"etcd": etcd, "coredns": coredns}
    own = dict.fromkeys(gates)
    return types.SimpleNamespace(
        version=f"v1.{minor}.0", minor=(1, minor), kubeadm=lambda: installs, kubeadm_gates=lambda: own
    )


def saying(name, text):
    return types.SimpleNamespace(said={name: plain_yaml.load(text)})


class Comparing(unittest.TestCase):
    ROWS = """removed_apis:
  kinds:
    - {group: apps, version: v1beta1, kinds: [Deployment, Scale], removed: "1.16"}
    - {group: apps, version: v1beta2, kinds: [Scale], removed: "1.40", gone: "1.36"}
    # By hand.
    - {group: other, version: v1, kinds: [Thing], removed: "1.22", source: "https://example.com/"}
"""

    def compared(self, *releases, rows=ROWS):
        text = {"removed-apis.yaml": rows}
        held = types.SimpleNamespace(new=text, said={"removed-apis.yaml": plain_yaml.load(rows)})
        found = compare.kinds(held, releases)
        return [(compare.dotted(minor), *names, why) for _, minor, names, why in found], text["removed-apis.yaml"]

    def test_kinds_that_are_told_rightly_stay_as_they_are(self):
        releases = release(35, api("v1beta2 Scale 1.40", "v1 Scale -")), release(36, api("v1 Scale -"))
        self.assertEqual(self.compared(*releases), ([], self.ROWS))

    def test_what_goes_and_is_not_told_gets_a_row(self):
        before = api("v1beta2 Scale 1.40", "v1beta2 New 1.40", "v1alpha1 Alpha -", "v1alpha1 Internal -")
        found, text = self.compared(release(35, before), release(36, api("v1beta3 Next 1.41")))
        self.assertEqual(
            found,
            [
                ("1.36", "apps/v1alpha1 Alpha", "not in the file"),
                ("1.36", "apps/v1beta2 New", "not in the file"),
                ("1.41", "apps/v1beta3 Next", "not in the file"),
            ],
        )
        added = [line.strip() for line in text.split("\n") if line not in self.ROWS.split("\n")]
        self.assertEqual(
            added,
            [
                '- {group: apps, version: v1alpha1, kinds: [Alpha], removed: "1.36"}',
                '- {group: apps, version: v1beta2, kinds: [New, Scale], removed: "1.40", gone: "1.36"}',
                '- {group: apps, version: v1beta3, kinds: [Next], removed: "1.41"}',
            ],
        )
        self.assertEqual(self.compared(release(35, before), release(36, api("v1beta3 Next 1.41")), rows=text), ([], text))

    def test_a_kind_that_stays_longer_or_for_ever_is_told(self):
        longer = release(35, api("v1beta2 Scale 1.41")), release(36, api("v1beta2 Scale 1.41"))
        found, text = self.compared(*longer)
        self.assertEqual(found, [("1.41", "apps/v1beta2 Scale", "the file says 1.40, types gone in 1.36, upstream 1.41")])
        self.assertEqual(self.compared(*longer, rows=text), ([], text))
        stays = release(35, api("v1beta2 Scale -")), release(36, api("v1beta2 Scale -"))
        found, text = self.compared(*stays)
        self.assertEqual(found, [("1.36", "apps/v1beta2 Scale", "upstream does not say that it goes")])
        self.assertEqual(text, self.ROWS, "a person must weigh it")

    def test_an_api_server_serves_a_kind_where_its_version_has_a_place_for_it(self):
        rest = """func (p Provider) NewRESTStorage() {}
func (p Provider) v1Storage(a Source) map {
	if resource := "priorityclasses"; a.Enabled(v1.WithResource(resource)) {
	}
}
func (p Provider) v1alpha1Storage(a Source) map {
	if resource := "workloads"; a.Enabled(v1alpha1.WithResource(resource)) {
	}
}
"""
        with folder({"pkg/registry/scheduling/rest/storage.go": rest}) as root:
            one = types.SimpleNamespace(root=pathlib.Path(root))
            serves = lambda *kind: upstream.Release.serves(one, "scheduling.k8s.io", *kind)
            self.assertTrue(serves("v1alpha1", "Workload") and serves("v1", "PriorityClass"))
            self.assertFalse(serves("v1alpha1", "PriorityClass") or serves("v1alpha2", "Workload"))

    def test_each_etcd_and_coredns_of_kubeadm_is_known(self):
        releases = ships(35, "3.6.6-0", "1.13.1"), ships(36, "3.6.8-0", "1.13.1"), ships(37, "3.7.0-0", "1.14.6")
        floor = lambda row: compare.etcd(saying("nodes.yaml", f"etcd: [{row}]"), releases)
        what, known = "floors of etcd", '{target_from: "1.37", release: "3.6.8"}'
        self.assertEqual(floor(""), ([(what, (1, 37), [], "none, and kubeadm goes from 3.6.8-0 to 3.7.0-0")], []))
        self.assertEqual(floor(known), ([], []))
        below = (what, (1, 37), ["3.6.11"], "kubeadm v1.36.0 installs 3.6.8-0, which is below it")
        self.assertEqual(floor(known.replace("3.6.8", "3.6.11")), ([], [below]))
        row = lambda first: compare.coredns(
            saying("addons.yaml", f'addons: [{{name: coredns, min_k8s: {{"1.13.2": "{first}", "1.14.7": "1.38"}}}}]'), releases
        )
        self.assertEqual(row("1.37"), [])
        why = "kubeadm v1.36.0 installs 1.13.1, so this is the first for it"
        self.assertEqual(row("1.36"), [("CoreDNS", (1, 37), ["1.13.2"], why)])
        self.assertEqual(compare.coredns(saying("addons.yaml", "addons: [{name: other}]"), releases), [])

    def test_gates_of_kubeadm_are_compared_where_the_file_has_them(self):
        releases = ships(36, "3.6.8-0", "1.14.2", "Goes", "Stays"), ships(37, "3.7.0-0", "1.14.6", "Stays")
        told = lambda rows: compare.kubeadm_gates(saying("components.yaml", f"components: {{{rows}}}"), releases)
        goes = '{name: Goes, removed: "1.37"}'
        self.assertEqual((told(""), told(f"kubeadm: {{gates: [{goes}]}}")), ([], []))
        self.assertEqual(told("kubeadm: {gates: []}"), [("gates of kubeadm", (1, 37), ["Goes"], "not in the file")])

    def test_gates_are_told_by_the_minor_that_changes_them(self):
        def listed(**specs):
            text = ""
            for name, (default, is_locked) in specs.items():
                text += f'- name: {name}\n  versionedSpecs:\n  - default: {default}\n    lockToDefault: {is_locked}\n'
                text += '    version: "1.30"\n'
            return text

        lists = {"a": listed(Goes=("true", "false"), Locks=("true", "false"), Stays=("false", "false"))}
        lists["b"] = listed(Locks=("true", "true"), Stays=("false", "false"))
        with folder(lists) as root:
            at = [pathlib.Path(root) / name for name in "ab"]
            releases = [
                types.SimpleNamespace(version=f"v1.{35 + n}.0", minor=(1, 35 + n), gates=lambda n=n: at[n]) for n in range(2)
            ]
            [row], steady = gates.derive(releases)
            self.assertEqual((row["removed"], row["locked"], steady), ({"Goes"}, {"Locks": "true"}, {"Stays"}))
            said = plain_yaml.load("components:\n" + gates.section([row], steady))["components"]
            self.assertEqual(said["gates"][0]["locked"], {"Locks": True})
            rest = "  # Kept.\n  flags: []\n"
            text = "components:\n  gates:\n    - {minor: \"1.36\", removed: [], locked: {Locks: true}}\n"
            text += f"  other_gates: [Stays,\n    Goes]\n{rest}"
            held = types.SimpleNamespace(new={"components.yaml": text}, said={"components.yaml": plain_yaml.load(text)})
            wrong = [("removed gates", (1, 36), ["Goes"], "not in the file")]
            wrong.append(("other gates", "", ["Goes"], "in the file, and not upstream"))
            self.assertEqual(compare.gates_of(held, releases), wrong)
            self.assertEqual(held.new["components.yaml"], f"components:\n{gates.section([row], steady)}{rest}")
            with self.assertRaisesRegex(gates.Loosened, "Locks"):
                gates.derive([releases[1], types.SimpleNamespace(**{**vars(releases[0]), "minor": (1, 37)})])


if __name__ == "__main__":
    unittest.main()
