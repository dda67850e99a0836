"""The schema of a spec in, the same for editors out: it says what is meant, and offers what fits. Pure.

Of several alternatives an editor takes one to be meant, and not always the one that is. So there are none here: each
JSON type that a value may have has keywords of its own. What is no keyword of the standard (errorMessage,
defaultSnippets, enumDescriptions) is for yaml-language-server, which many editors have; checkers that are strict take
`launcher/spec/schema.py`. Draft 7 has all that is used here, and more editors know it than later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from launcher.spec.editor_words import ENTRIES, ENTRIES_AS_WORDS, MEANINGS, RULES
from launcher.spec.fields import all_fields, as_yaml
from launcher.spec.schema import spec_schema
from launcher.spec.short_forms import MAIN
from launcher.spec.words import field_of
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Schema = dict[str, Any]

_DIALECT = "http://json-schema.org/draft-07/schema#"
_NULL: Schema = {"type": "null"}
_NUMBERS = ("minimum", "maximum", "exclusiveMaximum", "const")
_LISTS = ("minItems", "uniqueItems")
_ALIASES = ("additionalProperties", "minProperties", "maxProperties", "propertyNames")


def editor_schema() -> Schema:
    standard = spec_schema()
    whole = _inlined(standard, standard.pop("$defs"))
    return {"$schema": _DIALECT, "title": standard["title"], **_body("", whole, "expected a mapping")}


def _inlined(schema: Any, known: Mapping[str, Schema]) -> Any:
    """Without $ref: editors say the name of what it refers to."""
    if isinstance(schema, list):
        return [_inlined(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(known[schema["$ref"].rpartition("/")[2]], known)
    return {key: _inlined(one, known) for key, one in schema.items()}


def _ways(schema: Schema) -> Iterator[Schema]:
    """The alternatives, however deep one is in another. Those between the keys of a mapping are none."""
    if "anyOf" not in schema or "properties" in schema:
        yield schema
        return
    for one in schema["anyOf"]:
        yield from _ways(one)


def _key(field: str, schema: Schema) -> Schema:
    """Whether the value may be null is asked first, or editors would offer null."""
    about = all_fields()[field]
    wanted = f"expected: {about.type}, as in `{field.rpartition('.')[2]}: {as_yaml(about.examples[0])}`"
    told = {
        "title": about.type.replace("`", ""),
        "description": about.description,
        "markdownDescription": about.description,
    }
    return {**told, **_maybe(field, schema, wanted, about.examples)}


def _maybe(field: str, schema: Schema, wanted: str, examples: tuple[Any, ...]) -> Schema:
    """What is not offered is shown all the same, where one points at the key."""
    offered = _offered(field, examples, schema)
    body = _body(field, schema, wanted)
    shown = {"default": schema["default"]} if "default" in schema else {}
    if rest := [one for one in examples if one not in offered.get("examples", ())]:
        shown["examples"] = rest
    none = {} if _NULL in _ways(schema) else {"then": {"type": "boolean", "errorMessage": wanted}}
    return {**offered, "if": _NULL, **none, "else": {**shown, **body}}


def _body(field: str, schema: Schema, wanted: str) -> Schema:
    """`wanted`: what is said of a value of another type."""
    ways = [one for one in _ways(schema) if one != _NULL]
    types = list(dict.fromkeys(one["type"] for one in ways))
    if [list(one) for one in ways] == [["enum", "type"]]:
        return {"errorMessage": wanted, **_choices(field, ways[0]["enum"])}
    made: Schema = {"allOf": [{"type": types, "errorMessage": wanted}]}
    made |= _text([one for one in ways if one["type"] == "string"], wanted)
    for one in ways:
        keywords, rules = _OF_TYPE[one["type"]](field, one) if one["type"] in _OF_TYPE else ({}, [])
        made, made["allOf"] = {**made, **keywords}, [*made["allOf"], *rules]
    return made


def _choices(field: str, words: list[str]) -> Schema:
    meant = [MEANINGS[field][one] for one in words]
    return {"enum": words, "enumDescriptions": meant, "markdownEnumDescriptions": meant}


def _text(ways: list[Schema], wanted: str) -> Schema:
    if not ways:
        return {}
    words = [word for one in ways for word in one.get("enum", [one["const"]] if "const" in one else [])]
    patterns = [one["pattern"] for one in ways if "pattern" in one]
    listed = [f"^({'|'.join(words)})$"] if words else []
    longest = {key: one[key] for one in ways for key in ("maxLength",) if key in one}
    rule = next((RULES[one] for one in patterns if one in RULES), None)
    return {"pattern": "|".join([*listed, *patterns]), "patternErrorMessage": _ruled(wanted, rule), **longest}


def _ruled(wanted: str, rule: str | None) -> str:
    """The rule in the place of what the value is called."""
    return wanted if rule is None else f"{rule}{wanted[wanted.index(', as in ') :] if ', as in ' in wanted else ''}"


Made = tuple[Schema, list[Schema]]


def _of_number(_: str, schema: Schema) -> Made:
    return {key: schema[key] for key in _NUMBERS if key in schema}, []


def _of_truth(_: str, schema: Schema) -> Made:
    """`user: false` is none of its values."""
    wanted = {"enum": [schema.get("const")], "errorMessage": "write `true`, or take it out"}
    return {}, [{"if": {"type": "boolean"}, "then": wanted}] if "const" in schema else []


def _of_list(field: str, schema: Schema) -> Made:
    words = MEANINGS.get(field, {})
    wanted = f"expected: one of {', '.join(words)}, or in-use=NAME" if words else _KINDS[schema["items"]["type"]]
    items = {**_body(field, schema["items"], wanted), **({"defaultSnippets": _words(words)} if words else {})}
    return {key: schema[key] for key in _LISTS if key in schema} | {"items": items}, []


_KINDS = {"integer": "expected: whole number", "object": "expected: mapping, as in `- size: 8GiB`"}


def _of_mapping(field: str, schema: Schema) -> Made:
    """A section with keys of its own, or aliases of entries."""
    if "properties" in schema:
        keys = {key: _key(f"{field}.{key}".lstrip("."), one) for key, one in schema["properties"].items()}
        more: Schema = {key: schema[key] for key in ("additionalProperties", "patternProperties") if key in schema}
        made = {"properties": keys, **more, "propertyNames": _in_our_words(field, keys)}
        return {**made, **({} if field else _entries(field))}, list(_between(field, schema))
    made = {key: schema[key] for key in _ALIASES if key in schema}
    if field in MAIN:
        made["additionalProperties"] = _entry(field, schema["additionalProperties"])
        rule = RULES[schema["propertyNames"]["pattern"]]
        made["propertyNames"] = {**schema["propertyNames"], "patternErrorMessage": rule, "doNotSuggest": True}
    return {**made, **_entries(field)}, []


def _in_our_words(section: str, keys: Mapping[str, object]) -> Schema:
    """An unknown key is refused anyway; of one that other tools have it is said what it is here."""
    meant: dict[str, list[str]] = {}
    for word, field in {**({} if section else field_of("*")), **field_of(section)}.items():
        if word not in keys and word.isalnum():
            meant.setdefault(field, []).append(word)
    rules = [{"if": {"enum": words}, "then": _never(_place(section, field))} for field, words in meant.items()]
    return {"allOf": rules} if rules else {}


def _place(section: str, field: str) -> str:
    around, _, name = field.rpartition(".")
    if around == section:
        return f"here it is `{name}`"
    return f"here it is `{name}` {f'below `{around}:`' if around else 'at the left margin'}"


def _never(message: str) -> Schema:
    """Of the name of a key, which is text."""
    return {"type": "null", "errorMessage": message}


def _entry(field: str, schema: Schema) -> Schema:
    """What stands behind an alias, and what editors say of an alias."""
    about = next(one["description"] for one in _ways(schema) if one["type"] == "object")
    examples = [entry for example in all_fields()[field].examples for entry in example.items()]
    title = f"{ENTRIES_AS_WORDS[field]}, or a mapping"
    told = {"title": title.replace("`", ""), "description": about, "markdownDescription": about}
    alias, value = examples[0]
    wanted = f"expected: {title}, as in `{alias}: {as_yaml(value)}`"
    return {**told, **_maybe(field, schema, wanted, tuple(one for _, one in examples))}


_OF_TYPE: dict[str, Callable[[str, Schema], Made]] = {
    "integer": _of_number,
    "boolean": _of_truth,
    "array": _of_list,
    "object": _of_mapping,
}


def _offered(field: str, examples: tuple[Any, ...], schema: Schema) -> Schema:
    """In the place of a value: the words there are, true and false, and the examples.

    Snippets of a mapping or a list are offered inside of it too, so these have examples only, and no mappings of them.
    """
    types = {one["type"] for one in _ways(schema)}
    words = MEANINGS.get(field, {}) if "string" in types else {}
    truths = [True, False] if {"type": "boolean"} in _ways(schema) else []
    values = [*truths, *(one for one in examples if one not in (*words, *truths))]
    if types.isdisjoint({"array", "object"}):
        return {"defaultSnippets": [*_words(words), *({"label": as_yaml(one), "body": _quoted(one)} for one in values)]}
    plain = [*words, *(one for one in values if "{" not in as_yaml(one))]
    return {"examples": plain} if plain else {"properties": {}}


def _words(words: Mapping[str, str]) -> list[Schema]:
    return [{"label": word, "body": word, "description": means} for word, means in words.items()]


def _quoted(value: Any) -> Any:
    return as_yaml(value) if isinstance(value, str) else value


def _entries(field: str) -> Schema:
    """In the place of a key."""
    offered = [{"label": label, "description": about, "body": body} for label, about, body in ENTRIES.get(field, ())]
    return {"defaultSnippets": offered} if offered else {}


def _between(field: str, schema: Schema) -> Iterator[Schema]:
    """What holds between the keys of a mapping."""
    yield from (_needed(field, key) for key in schema.get("required", ()))
    for choice in ("anyOf", "oneOf"):
        if keys := [one["required"][0] for one in schema.get(choice, ())]:
            yield _one_at_least(field, keys)
            yield from (_not_both(*two) for two in combinations(keys, 2) if choice == "oneOf")
    yield from (_condition(one) for one in schema.get("allOf", ()))


def _needed(field: str, key: str) -> Schema:
    about = all_fields()[f"{field}.{key}".lstrip(".")]
    return {"required": [key], "errorMessage": f"`{key}` is missing: `{key}: {as_yaml(about.examples[0])}`"}


def _one_at_least(field: str, keys: list[str]) -> Schema:
    """Whoever has none lacks the first one."""
    listed = ", ".join(f"`{key}`" for key in keys)
    example = all_fields()[f"{field}.{keys[0]}"].examples[0]
    message = f"one of {listed} is needed, as in `{keys[0]}: {as_yaml(example)}`"
    made = _lacks(keys[0], message)
    for key in keys:
        made = {"if": _given(key), "else": made}
    return made


def _lacks(key: str, message: str) -> Schema:
    """Never true of a mapping that does not give the key, or gives it null."""
    is_null = {"doNotSuggest": True, "not": _NULL}
    return {"allOf": [{"required": [key], "errorMessage": message}, {"properties": {key: is_null}}]}


def _not_both(first: str, second: str) -> Schema:
    both = {"allOf": [_given(first), _given(second)]}
    return {"if": both, "then": _absent(second, f"`{first}` is there already: it is one of `{first}` and `{second}`")}


def _absent(key: str, message: str) -> Schema:
    return {"properties": {key: {"doNotSuggest": True, "type": "null", "errorMessage": message}}}


def _given(key: str) -> Schema:
    return {"required": [key], "properties": {key: {"not": _NULL}}}


def _condition(schema: Schema) -> Schema:
    """One key needs another, or does not go with it."""
    (key,), then = schema["if"]["required"], schema["then"]
    value = schema["if"]["properties"][key].get("const")
    which = f"`{key}`" if value is None else f"`{key}: {as_yaml(value)}`"
    rules = [_lacks(other, f"{which} goes with `{other}`, which is missing") for other in then.get("required", ())]
    if "required" not in then:
        rules += [_absent_or(other, one, which) for other, one in then["properties"].items()]
    if never := then.get("not"):
        ((other, is_),) = never["properties"].items()
        wrong = _absent(other, f"`{other}: {as_yaml(is_['const'])}` does not go with {which}")
        rules.append({"if": never, "then": wrong})
    return {"if": schema["if"], "then": {"allOf": rules}}


def _absent_or(key: str, allowed: Schema, which: str) -> Schema:
    """Empty text is as good as none."""
    message = f"`{key}` does not go with {which}"
    if allowed == _NULL:
        return _absent(key, message)
    return {"properties": {key: {"doNotSuggest": True, "pattern": "^$", "patternErrorMessage": message}}}
