"""Questions about a scene, with their answers."""

import collections
import dataclasses

import sentences
import words


@dataclasses.dataclass
class Question:
    task: str  # colour, shape, count, label, click, absent, other
    text: str
    answer: str
    target: object = None  # the thing to click


def _phrase(random, templates, *names):
    text = random.choice(templates).format(*names)
    if random.random() < 0.15:
        text = text[0].lower() + text[1:]
    if random.random() < 0.15:
        text = text.rstrip("?.")
    return text


def _references(scene):
    """Descriptions that fit exactly one thing, as pairs of description and thing."""
    count = collections.Counter()
    pairs = []
    for thing in scene.things:
        if thing.kind == "field":
            names = [f"{thing.word} field"]
        elif thing.kind in words.ICONS:
            names = [f"{thing.kind} icon"]
        else:
            names = [thing.kind, f"{thing.colour} {thing.kind}"]
            if thing.word:
                names.append(f"{thing.word} button")
        for name in names:
            count[name] += 1
            pairs.append((name, thing))
    return [(name, thing) for name, thing in pairs if count[name] == 1]


def _colour(random, scene, references):
    fits = [(n, t) for n, t in references if t.colour and t.colour not in n.split()]
    if fits:
        name, thing = random.choice(fits)
        text = _phrase(random, sentences.COLOUR_OF, name)
        return Question("colour", text, words.answer(thing.colour))


def _shape(random, scene, references):
    shapes = [t for t in scene.things if t.kind in words.SHAPES]
    count = collections.Counter(t.colour for t in shapes)
    fits = [t for t in shapes if count[t.colour] == 1]
    if fits:
        thing = random.choice(fits)
        text = _phrase(random, sentences.SHAPE_OF, thing.colour)
        return Question("shape", text, words.answer(thing.kind))


def _count(random, scene, references):
    count = collections.Counter(t.kind for t in scene.things)
    kinds = list(words.PLURALS)
    if random.random() < 0.7:
        # Most kinds are absent from most pictures.
        kinds = [kind for kind in kinds if count[kind] > 1] or kinds
    kind = random.choice(kinds)
    text = _phrase(random, sentences.COUNT, words.PLURALS[kind])
    return Question("count", text, str(count[kind]))


def _label(random, scene, references):
    fits = [(n, t) for n, t in references if t.kind == "button" and t.word not in n.split()]
    if fits:
        name, thing = random.choice(fits)
        text = _phrase(random, sentences.LABEL, name)
        return Question("label", text, thing.word)


def _click_text(random, name):
    if name.endswith(" button") and name[0].isupper() and random.random() < 0.5:
        text = _phrase(random, sentences.CLICK_WORD, name.removesuffix(" button"))
    else:
        text = _phrase(random, sentences.CLICK, name)
    if random.random() < 0.08:
        # People write labels in lower case, too.
        text = text.lower()
    return text


def _click(random, scene, references):
    if references:
        thing = random.choice([t for _, t in references])
        name = random.choice([n for n, t in references if t is thing])
        x, y = thing.centre
        answer = f"Click({words.place(x)}, {words.place(y)})"
        return Question("click", _click_text(random, name), answer, thing)


def _absent(random, scene, references):
    present = {t.word for t in scene.things} | {t.kind for t in scene.things}
    names = [f"{w} button" for w in words.BUTTONS if w not in present]
    names = random.sample(names, 3)
    names += [s for s in words.SHAPES if s not in present]
    names += [f"{i} icon" for i in words.ICONS if i not in present][:2]
    return Question("absent", _click_text(random, random.choice(names)), words.ABSENT)


def other_text(random):
    style = random.random()
    if style < 0.6:
        return random.choice(sentences.OTHER)
    picked = random.choices(sentences.FILLER, k=random.randint(1, 6))
    text = " ".join(picked) + random.choice(("", ".", "?", "!"))
    return text if style < 0.8 else text[0].upper() + text[1:]


def _other(random, scene, references):
    return Question("other", other_text(random), words.UNKNOWN)


_TASKS = {
    "click": (_click, 4),
    "label": (_label, 2),
    "colour": (_colour, 2),
    "shape": (_shape, 1.2),
    "count": (_count, 3),
    "absent": (_absent, 0.9),
    "other": (_other, 0.2),
}


def ask(random, scene, number):
    """Random questions about a scene, in random order, none of them twice."""
    references = _references(scene)
    tasks = random.choices(list(_TASKS), [weight for _, weight in _TASKS.values()], k=number)
    found = {}
    for task in tasks:
        question = _TASKS[task][0](random, scene, references)
        if question:
            found.setdefault(question.text, question)
    return list(found.values())


def ask_one(random, scene, task):
    """A question of a given task, or `None` if the scene allows none."""
    return _TASKS[task][0](random, scene, _references(scene))
