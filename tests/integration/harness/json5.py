"""Reads JSON5, as far as configurations in the wild use it; independent of the agent's own reader."""
import json
import re

_TOKEN = re.compile(r"""
    (?P<skip>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<punct>[{}\[\]:,])
  | (?P<word>[^\s{}\[\]:,"'/]+)
""", re.VERBOSE | re.DOTALL)


def loads(text):
    tokens = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise ValueError(f"not JSON5 at {text[at:at + 20]!r}")
        if match.lastgroup != "skip":
            tokens.append((match.lastgroup, match.group()))
        at = match.end()
    value, rest = _value(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"not JSON5: {tokens[rest]} after the value")
    return value


def _value(tokens, at):
    kind, text = tokens[at]
    if text == "{":
        return _members(tokens, at + 1)
    if text == "[":
        items, at = [], at + 1
        while tokens[at][1] != "]":
            item, at = _value(tokens, at)
            items.append(item)
            at = _comma(tokens, at, "]")
        return items, at + 1
    if kind == "string":
        return _string(text), at + 1
    if kind == "word":
        if text in ("true", "false", "null"):
            return json.loads(text), at + 1
        return (int(text, 0) if re.fullmatch(r"[-+]?(0x[0-9a-fA-F]+|\d+)", text) else float(text)), at + 1
    raise ValueError(f"not JSON5: {text}")


def _members(tokens, at):
    members = {}
    while tokens[at][1] != "}":
        kind, key = tokens[at]
        if tokens[at + 1][1] != ":":
            raise ValueError(f"not JSON5: no colon after {key}")
        members[_string(key) if kind == "string" else key], at = _value(tokens, at + 2)
        at = _comma(tokens, at, "}")
    return members, at + 1


def _comma(tokens, at, end):
    if tokens[at][1] == ",":
        return at + 1
    if tokens[at][1] != end:
        raise ValueError(f"not JSON5: {tokens[at][1]} in place of a comma")
    return at


def _string(text):
    if text[0] == "'":
        inner = text[1:-1].replace("\\'", "'")
        text = '"' + re.sub(r'(?<!\\)"', r'\\"', inner) + '"'
    return json.loads(text)
