"""Reads the part of YAML that the files beside it are written in, and refuses everything else with its line.

Python's standard library has no reader of YAML. These files have mappings and lists, in blocks or in brackets, and values
on one line: nothing here has anchors, tags, or texts over several lines.
"""

import re

KEY = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s"\'\[\]{},:#][^\[\]{},:#]*?)\s*:(?=\s|$)')
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Unread(Exception):
    """What this reader does not know."""


def load(text):
    """The value that a text holds."""
    reader = _Reader(text)
    indent = reader.next_indent()
    value = None if indent < 0 else reader.block(indent)
    if reader.peek() is not None:
        reader.refuse("nothing more")
    return value


class _Reader:
    def __init__(self, text):
        self.lines = text.split("\n")
        self.row = self.column = 0

    def refuse(self, expected):
        line = self.lines[self.row][self.column :] if self.row < len(self.lines) else "the end"
        raise Unread(f"line {self.row + 1}: expected {expected}, found {line.strip()[:40]!r}")

    def peek(self):
        """The next character that says something, over lines and comments; nothing at the end."""
        while self.row < len(self.lines):
            rest = self.lines[self.row][self.column :]
            bare = rest.lstrip(" ")
            if bare and not (bare[0] == "#" and (self.column == 0 or rest != bare or self.column == len(rest))):
                self.column += len(rest) - len(bare)
                return bare[0]
            self.row, self.column = self.row + 1, 0
        return None

    def next_indent(self):
        """How far the next line that says something is indented; -1 at the end."""
        return -1 if self.peek() is None else self.column

    def rest(self):
        return self.lines[self.row][self.column :]

    def block(self, indent):
        """A mapping, a list or a value that begins here."""
        rest = self.rest()
        if rest == "-" or rest.startswith("- "):
            return self.list(indent)
        if KEY.match(rest):
            return self.mapping(indent)
        return self.value()

    def list(self, indent):
        found = []
        while self.next_indent() == indent and self.rest()[:2] in ("-", "- "):
            row, self.column = self.row, self.column + 1
            inner = self.next_indent()
            if self.row != row and inner <= indent:
                self.refuse("an entry of the list")
            found.append(self.block(inner))
        return found

    def mapping(self, indent):
        found = {}
        while self.next_indent() == indent and (key := KEY.match(self.rest())):
            name = _plain(key[1])
            if name in found:
                self.refuse(f"{name} once")
            row, self.column = self.row, self.column + key.end()
            inner = self.next_indent()
            # A list may stand as far left as its key.
            is_list = inner == indent and self.rest()[:2] in ("-", "- ")
            if self.row != row and inner <= indent and not is_list:
                found[name] = None
            else:
                found[name] = self.value() if self.row == row else self.block(inner)
        return found

    def value(self):
        """A value in brackets or on one line, up to the end of the line."""
        found = self.flow()
        rest = self.rest()
        if rest.strip() and not rest.lstrip(" ").startswith("#"):
            self.refuse("the end of the line")
        self.row, self.column = self.row + 1, 0
        return found

    def flow(self):
        first = self.peek()
        if first == "[":
            return self.between("]", lambda found: found.append(self.flow()), [])
        if first == "{":
            return self.between("}", self.entry, {})
        rest = self.rest()
        if first == '"':
            text = re.match(r'"((?:[^"\\]|\\.)*)"', rest)
        elif first == "'":
            text = re.match(r"'((?:[^']|'')*)'", rest)
        elif self.depth:
            text = re.match(r"[^\[\]{},]*?(?=\s*(?:[\[\]{},]|\s#|$))", rest)
        else:
            text = re.match(r".*?(?=\s*(?:\s#.*)?$)", rest)
        if not text or not text[0] or first in "&*!|>%@`":
            self.refuse("a value on one line")
        self.column += text.end()
        return _plain(text[0])

    depth = 0

    def between(self, end, take, found):
        self.column += 1
        self.depth += 1
        while self.peek() != end:
            take(found)
            if self.peek() == ",":
                self.column += 1
            elif self.peek() != end:
                self.refuse(f", or {end}")
        self.column += 1
        self.depth -= 1
        return found

    def entry(self, found):
        key = KEY.match(self.rest())
        if not key:
            self.refuse("a key")
        self.column += key.end()
        found[_plain(key[1])] = self.flow()


def _plain(text):
    """What a single value means."""
    if text[0] == '"':
        if set(re.findall(r"\\(.)", text)) - {'"', "\\"}:
            raise Unread(f"an escape in {text}")
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", "~"):
        return None
    if NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text
