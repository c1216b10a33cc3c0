"""Reads the sources of Kubernetes as Go's module proxy serves them: what a release has of feature gates, kinds, flags,
admission plugins, and what its kubeadm installs.

Go fetches the modules into its own cache and holds them to its checksum database. Their sources are only read as text.
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile

GATES = "test/compatibility_lifecycle/reference/versioned_feature_list.yaml"
KUBEADM_CONSTANTS = "cmd/kubeadm/app/constants/constants.go"
KUBEADM_FEATURES = "cmd/kubeadm/app/features/features.go"
PLUGINS = "pkg/kubeapiserver/options/plugins.go"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet")
# Where the flags of the components are, beside their own sources.
SHARED = ("apiserver", "cloud-provider", "component-base", "controller-manager")
# How a flag gets into a set of flags, and which argument is its name. The last two take one that a library has made.
ADDED = [
    (re.compile(r"\.\w*Var(?:PF?)?\("), 1),
    (re.compile(r"\b(?:fs|flags|flagset)\.(?:Bool|Duration|Float64|Int|Int32|Int64|String|StringSlice|Uint)P?\("), 0),
    (re.compile(r"\bglobalflag\.Register\("), 1),
    (re.compile(r"\bregister(?:Deprecated)?\("), 2),
]


class NotThere(Exception):
    """What cannot be had, or is no longer where it was."""


def go(*arguments):
    """A command of Go that has ended. It runs where no module is, so that none of ours is meant."""
    with tempfile.TemporaryDirectory() as nowhere:
        environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        try:
            return subprocess.run(["go", *arguments], cwd=nowhere, env=environment, capture_output=True, text=True)
        except FileNotFoundError as why:
            raise NotThere("go is missing: install it (https://go.dev/dl/) and put it on the PATH") from why


def newest(minor):
    """The newest release of a minor of Kubernetes that the proxy lists."""
    return json_of(go("list", "-m", "-json", f"k8s.io/kubernetes@v{minor[0]}.{minor[1]}"))["Version"]


def newest_minor():
    """The newest minor that is released: what the proxy lists as the latest."""
    return minor_of(json_of(go("list", "-m", "-json", "k8s.io/kubernetes@latest"))["Version"])


def json_of(ended):
    found = json.loads(ended.stdout) if ended.stdout.strip() else {}
    if ended.returncode or found.get("Error"):
        raise NotThere((ended.stderr or found.get("Error") or "go says nothing").strip())
    return found


def minor_of(version):
    match = re.fullmatch(r"v(\d+)\.(\d+)(?:\.\d+)?(?:-.*)?", version)
    if not match:
        raise NotThere(f"{version} is not a version such as v1.36.3")
    return int(match[1]), int(match[2])


@functools.cache
def module(path, version):
    """The folder that has a module's sources."""
    return pathlib.Path(json_of(go("mod", "download", "-json", f"{path}@{version}"))["Dir"])


def text(path):
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotThere(f"{path}: {error.strerror}; has it moved?") from error


def strip_comments(source):
    """Go source without its comments: they name flags too."""
    keep = r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|\'(?:[^\'\\\n]|\\.)+\''
    return re.sub(rf"({keep})|//[^\n]*|/\*.*?\*/", lambda found: found[1] or " ", source, flags=re.S)


class Release:
    """One release of Kubernetes."""

    def __init__(self, version):
        self.version = version
        self.minor = minor_of(version)
        self.root = module("k8s.io/kubernetes", version)

    def staging(self, name):
        """The folder of a module that is released with it, such as k8s.io/api."""
        return module(f"k8s.io/{name}", "v0" + self.version.removeprefix("v1"))

    def gates(self):
        """Where its list of feature gates is."""
        return self.root / GATES

    @functools.cache
    def kinds(self):
        """Each kind of k8s.io/api by group, version and name, with the minor that removes it, if it says so."""
        return kinds(self.staging("api"))

    def serves(self, group, version, kind):
        """Whether its API server has a place for objects of a kind. Types may outlive that by years."""
        name = kind.lower()
        plural = name[:-1] + "ies" if name.endswith("y") else name + ("es" if name.endswith("s") else "s")
        for path in self.root.glob(f"pkg/registry/{group.split('.')[0]}/rest/*.go"):
            # Each version of a group has a function of its own there.
            for place in re.findall(rf"^func \([^)\n]*\) {version}Storage\(.*?^}}", text(path), re.S | re.M):
                if f'"{plural}"' in place:
                    return True
        return False

    @functools.cache
    def flags(self):
        """The names of the flags of each component, and of the etcd that kubeadm installs."""
        trees = {"k8s.io/kubernetes": self.root}
        trees.update({f"k8s.io/{name}": self.staging(name) for name in SHARED})
        packages = Packages(trees)
        found = {name: packages.flags(f"k8s.io/kubernetes/cmd/{name}") for name in COMPONENTS}
        # An image's number ends in that of its build: 3.6.8-0.
        etcd = "v" + self.kubeadm()["etcd"].split("-")[0]
        trees = {"go.etcd.io/etcd/server/v3": module("go.etcd.io/etcd/server/v3", etcd)}
        found["etcd"] = Packages(trees).flags("go.etcd.io/etcd/server/v3/etcdmain")
        return found

    @functools.cache
    def admission_plugins(self):
        """The names that kube-apiserver's flags for admission plugins take."""
        path = self.root / PLUGINS
        source = strip_comments(text(path))
        listed = found_in(path, source, "AllOrderedPlugins", r" = \[\]string\{(.*?)\n\}")
        trees = {"k8s.io/kubernetes": self.root, "k8s.io/apiserver": self.staging("apiserver")}
        packages, imports = Packages(trees), imported(source)
        names = set()
        for alias, constant in re.findall(r"(\w+)\.(\w+)", listed):
            name = packages.constant(imports.get(alias), constant)
            if name is None:
                raise NotThere(f"{path}: {alias}.{constant} has no value that can be read")
            names.add(name)
        return names

    def kubeadm(self):
        """What its kubeadm installs of etcd and CoreDNS."""
        path = self.root / KUBEADM_CONSTANTS
        source = strip_comments(text(path))
        names = {"etcd": "DefaultEtcdVersion", "coredns": "CoreDNSVersion"}
        return {key: found_in(path, source, name, r'\s*=\s*"v?([^"]+)"') for key, name in names.items()}

    def kubeadm_gates(self):
        """Each feature gate of kubeadm itself, and the value that it is locked to, if it is."""
        path = self.root / KUBEADM_FEATURES
        source = strip_comments(text(path))
        listed = found_in(path, source, "InitFeatureGates", r" = FeatureList\{(.*?)\n\}")
        found = {}
        for entry in re.split(r"\n\t(?=\w+:)", listed)[1:]:
            name = entry.split(":")[0]
            is_locked = "LockToDefault: true" in entry
            found[name] = "Default: true" in entry if is_locked else None
        return found


def found_in(path, source, name, value):
    """What is given to a name of Go, by the group of a pattern."""
    match = re.search(rf"\b{name}{value}", source, re.S)
    if not match:
        raise NotThere(f"{path}: no {name}; has it moved?")
    return match[1]


def kinds(api):
    """Each kind that a copy of k8s.io/api registers."""
    found = {}
    for path in sorted(api.glob("*/*/register.go")):
        source = strip_comments(text(path))
        group = re.search(r'GroupName\s*=\s*"([^"]*)"', source)
        names = set()
        for listed in re.findall(r"\.AddKnownTypes\((.*?)\n\s*\)", source, re.S):
            names.update(re.findall(r"&(\w+)\{\}", listed))
        names -= {f"{name}List" for name in names}
        going = {}
        for lifecycle in path.parent.glob("zz_generated.prerelease-lifecycle.go"):
            pattern = r"\(in \*(\w+)\) APILifecycleRemoved\(\) \(major, minor int\) \{\s*return (\d+), (\d+)"
            for name, major, minor in re.findall(pattern, text(lifecycle)):
                going[name] = (int(major), int(minor))
        if group and names:
            version = path.parent.name
            found.update({(group[1], version, name): going.get(name) for name in names})
    if not found:
        raise NotThere(f"{api}: no kinds; have they moved?")
    return found


def imported(source):
    """What a file calls the packages that it imports."""
    blocks = re.findall(r"^import\s*\((.*?)^\)", source, re.S | re.M) + re.findall(r"^import\s+(.*)$", source, re.M)
    found = {}
    for block in blocks:
        for alias, path in re.findall(r'([\w.]+\s+)?"([^"]+)"', block):
            last = path.split("/")
            name = last[-2] if re.fullmatch(r"v\d+", last[-1]) and len(last) > 1 else last[-1]
            # Nothing is called by the name `_`, so each such import has its own.
            name = path if alias.strip() == "_" else alias.strip() or name
            found[name] = path
    return found


class Packages:
    """Go packages by the path by which they are imported, as far as they lie in some trees.

    What a program may have is found by names: from its main package on, every function, type (with its methods) and
    variable that is named by one that counts. Nothing is compiled, so that more may count than really does.
    """

    def __init__(self, trees):
        self.trees = trees
        self.read = functools.cache(self._read)
        self.part = functools.cache(self._part)

    def files(self, package):
        for prefix, root in self.trees.items():
            if package == prefix or package.startswith(prefix + "/"):
                for path in sorted((root / package[len(prefix) + 1 :]).glob("*.go")):
                    # What is generated adds no flags, and is long.
                    if not re.search(r"_(test|windows|darwin)\.go$|\.pb\.go$|^zz_generated", path.name):
                        yield path

    def _read(self, package):
        """What a package imports, its constants that are texts, and the parts that have a name each; None has what
        counts wherever the package is imported."""
        imports, constants, parts = set(), {}, {None: []}
        for path in self.files(package):
            source = text(path)
            if re.search(r"^//go:build (windows|ignore|!linux)", source, re.M):
                continue
            source = strip_comments(source)
            aliases = imported(source)
            imports.update(aliases.values())
            constants.update(re.findall(r'^\s*(?:const\s+)?(\w+)(?:\s+string)?\s*=\s*"([^"]*)"', source, re.M))
            for part in re.split(r"^(?=(?:func|type|var)\b)", source, flags=re.M)[1:]:
                for name in names_of(part):
                    parts.setdefault(name, []).append((part, aliases))
        return imports, constants, parts

    def constant(self, package, name):
        return self.read(package)[1].get(name) if package else None

    def flags(self, start):
        """Every flag that a program may have: what counts adds it to a set of flags."""
        seen, found = set(), set()
        todo = [(start, name) for name in self.read(start)[2]]
        while todo:
            here = todo.pop()
            if here not in seen:
                seen.add(here)
                named, flags = self.part(*here)
                todo += named
                found |= flags
        if len(found) < 10:
            raise NotThere(f"{start}: only {len(found)} flags; have they moved?")
        return found

    def _part(self, package, name):
        """What the parts of a name name themselves, and the flags that they add."""
        imports, constants, parts = self.read(package)
        named = {(path, None) for path in imports} if name is None else set()
        flags = set()
        for source, aliases in parts.get(name, []):
            for first, second in re.findall(r"\b([A-Za-z_]\w*)(?:\.([A-Z]\w*))?", source):
                if second and first in aliases:
                    named.add((aliases[first], second))
                elif first in parts:
                    named.add((package, first))
            for added, which in ADDED:
                for call in added.finditer(source):
                    for argument in arguments(source, call.end())[which : which + 1]:
                        flags.add(self.value(argument, constants, aliases) or "")
        return named, {flag.replace("_", "-") for flag in flags if re.fullmatch(r"[a-z][a-z0-9_-]+", flag)}

    def value(self, argument, constants, aliases):
        """The text that an argument is, where it is one."""
        if match := re.fullmatch(r'"([^"\\]*)"', argument):
            return match[1]
        if (match := re.fullmatch(r"(\w+)\.(\w+)", argument)) and match[1] in aliases:
            # What is in a module that is not read is called as the flag is, in words of its own.
            found = self.constant(aliases[match[1]], match[2])
            return found or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", match[2]).lower()
        return constants.get(argument)


def names_of(part):
    """What a part of a file is named by: a method by its type; None where it counts with its package."""
    if part.startswith("func"):
        match = re.match(r"func (?:\((?:\w+ )?\*?(\w+)[^)]*\) )?(\w+)", part)
        name = match[1] or match[2]
        return [None if name == "init" else name]
    if re.match(r"\w+ \(", part):
        names = re.findall(r"^\t(\w+)", part, re.M)
    else:
        names = [re.match(r"\w+ (\w+)", part)[1]]
    # What is made for its effect alone has no name.
    return [None if name == "_" else name for name in names]


def arguments(source, start):
    """The arguments of a call whose bracket is open."""
    found, depth, begin, at = [], 0, start, start
    while at < len(source):
        sign = source[at]
        if sign in "\"`'":
            end = re.compile(rf"(?:[^{sign}\\]|\\.)*{sign}" if sign != "`" else "[^`]*`", re.S).match(source, at + 1)
            at = end.end() if end else len(source)
            continue
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        if depth < 0 or (depth == 0 and sign == ","):
            found.append(source[begin:at].strip())
            begin = at + 1
        if depth < 0:
            break
        at += 1
    return found
