"""The tokenizer: byte-level BPE with one token for each word that the model knows.

The merges of a word build it letter by letter, and those of words after a space have precedence.
Every text has therefore one tokenisation, and that of an answer's beginning is the beginning of
the answer's: mistral.rs tokenises an image chat again at each step.
"""

import functools

import tokenizers
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

import sentences
import words

CONTROL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    # Not a token of the real family: mistral.rs inserts it into a prompt temporarily.
    "<|placeholder|>",
]
SIZE = 1280
SYSTEM = "You are a helpful assistant."


def _texts():
    """Texts that have every word of prompts and answers, at the start and after a space."""
    names = [*words.BUTTONS, *words.FIELDS, *words.SHAPES, *words.ICONS]
    names += [*words.COLOURS, *words.NEUTRAL, *words.PLURALS.values()]
    names += "button field icon shape shapes picture Click".split()
    for name in names:
        yield from (name, f" {name}", words.answer(name))
    for name in [*words.BUTTONS, *words.FIELDS]:
        # People write labels in lower case, too.
        yield f" {name.lower()}"
    templates = [
        *sentences.COLOUR_OF,
        *sentences.SHAPE_OF,
        *sentences.COUNT,
        *sentences.LABEL,
        *sentences.CLICK,
        *sentences.CLICK_WORD,
        words.ABSENT,
        words.UNKNOWN,
        SYSTEM,
        "system user assistant",
    ]
    for template in templates:
        yield template
        yield template[0].lower() + template[1:]
        yield f" {template}"
    for x in range(words.BIN // 2, words.MAX_WIDTH, words.BIN):
        yield from (str(x), f" {x}")


def _merges():
    split = ByteLevel(add_prefix_space=False, use_regex=True)
    pieces = {
        piece for text in _texts() for piece, _ in split.pre_tokenize_str(text.replace("{}", ""))
    }
    merges = []
    numbers = sorted((piece for piece in pieces if piece.isdigit()), key=lambda n: (len(n), n))
    pieces -= set(numbers)
    # A space is written as Ġ: its merges come first, so that none of the others breaks such a word.
    for piece in sorted(pieces, key=lambda piece: (not piece.startswith("Ġ"), piece)):
        for end in range(1, len(piece)):
            merge = (piece[:end], piece[end])
            if merge not in merges:
                merges.append(merge)
    # A number of three digits joins a digit to the pair that is merged first.
    pairs = [(a, b) for a in "123456789" for b in "0123456789"]
    merges += pairs
    for number in numbers:
        if len(number) == 3:
            ranks = [pairs.index(p) if p in pairs else len(pairs) for p in zip(number, number[1:])]
            at = 2 if ranks[0] < ranks[1] else 1
            merges.append((number[:at], number[at:]))
    return merges


@functools.cache
def tokenizer():
    alphabet = sorted(ByteLevel.alphabet())
    merges = _merges()
    tokens = alphabet + [a + b for a, b in merges]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    result = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    result.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    result.decoder = tokenizers.decoders.ByteLevel()
    used = len(vocabulary) + len(CONTROL)
    # Constrained decoding fails if the tokenizer is smaller than the weights' vocabulary.
    reserved = [f"<|reserved_{i}|>" for i in range(used, SIZE)]
    special = [AddedToken(token, special=True, normalized=False) for token in CONTROL + reserved]
    result.add_special_tokens(special)
    return result


@functools.lru_cache(100_000)
def encode(text):
    return tuple(tokenizer().encode(text, add_special_tokens=False).ids)


def control(token):
    return tokenizer().token_to_id(token)
