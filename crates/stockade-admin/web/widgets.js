// Small parts that pages share.

import { append, h } from "./dom.js";
import { ago, fullTime } from "./format.js";
import { icon } from "./icons.js";
import { text } from "./strings.js";

/** A button; `kind` is a list of classes such as `primary` or `danger small`. */
export function button(label, { kind = "", image, onclick, type = "button", ...others } = {}) {
    return h("button", { type, class: `button ${kind}`, onclick, ...others }, image && icon(image, 16), label);
}

/** A button that shows an image only; the label is read aloud. */
export function iconButton(label, image, { kind = "", ...others } = {}) {
    const props = { type: "button", class: `button icon ${kind}`, "aria-label": label, title: label, ...others };
    return h("button", props, icon(image, 17));
}

/** A link that looks like a button. */
export function linkButton(label, href, { kind = "", image, ...others } = {}) {
    return h("a", { class: `button ${kind}`, href, ...others }, image && icon(image, 16), label);
}

/** Runs an action while the button shows progress; the button is usable again afterwards. */
export async function busy(node, action) {
    if (node.disabled) return undefined;
    const spinner = h("span", { class: "spinner", "aria-hidden": "true" });
    const image = node.querySelector("svg");
    node.disabled = true;
    node.setAttribute("aria-busy", "true");
    if (image) image.replaceWith(spinner);
    else node.prepend(spinner);
    try {
        return await action();
    } finally {
        if (image) spinner.replaceWith(image);
        else spinner.remove();
        node.disabled = false;
        node.removeAttribute("aria-busy");
    }
}

/** A state; `tone` is `ok`, `warn`, `bad`, `info` or empty. */
export function badge(label, tone = "") {
    return h("span", { class: `badge ${tone}` }, label);
}

export function tag(label) {
    return h("span", { class: "tag" }, label);
}

export function tags(labels) {
    return labels.length ? h("span", { class: "row tight" }, labels.map(tag)) : absent();
}

/** A value that does not exist. */
export function absent(label = text.none) {
    return h("span", { class: "muted" }, label);
}

/** A time as its distance from now, with the exact time as a hint. */
export function moment(time, missing = text.none) {
    if (!time) return absent(missing);
    return h("time", { datetime: time, title: fullTime(time), class: "nowrap" }, ago(time));
}

/** A message inside a page: `tone` is `bad`, `warn`, `ok` or empty. */
export function note(tone, ...children) {
    const image = { bad: "alert", warn: "alert", ok: "check" }[tone] ?? "info";
    return h("div", { class: `note ${tone}`, role: tone === "bad" ? "alert" : null }, icon(image), h("div", null, ...children));
}

/** What a page shows without data: what it is for, and what to do. */
export function empty(image, title, hint, ...actions) {
    return h("div", { class: "empty" }, icon(image, 32), h("p", { class: "empty-title" }, title), hint && h("p", null, hint), ...actions);
}

/** A placeholder while data is loaded. */
export function skeleton(lines = 4) {
    const bars = Array.from({ length: lines }, () => h("i"));
    return h("div", { class: "skeleton", role: "status", "aria-label": text.loading }, bars);
}

/** The heading of a page, which receives the focus when the page is opened. */
export function pageHead({ title, hint, back, actions = [] }) {
    const backLink = back && h("a", { class: "crumb", href: back.href }, icon("back", 15), back.label);
    const heading = h("h1", { tabindex: -1 }, title);
    const words = h("div", { class: "head-text" }, backLink, heading, hint && h("p", null, hint));
    return h("div", { class: "head" }, words, actions.length > 0 && h("div", { class: "row" }, ...actions));
}

/** A card with a heading. */
export function card({ title, hint, actions = [] }, ...children) {
    const head = h("div", { class: "card-head" }, h("div", null, h("h2", null, title), hint && h("p", null, hint)));
    if (actions.length) append(head, h("div", { class: "row" }, ...actions));
    return h("section", { class: "card padded" }, head, ...children);
}

/** Names with their values: pairs of text and content. */
export function facts(pairs, kind = "") {
    const present = pairs.filter(Boolean);
    return h("dl", { class: `facts ${kind}` }, present.map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

/** Exclusive choices, such as periods. */
export function choices(label, options, chosen, onChoose) {
    const buttons = options.map(([value, name]) =>
        h("button", { type: "button", "aria-pressed": value === chosen ? "true" : "false", onclick: () => choose(value) }, name),
    );
    const choose = (value) => {
        buttons.forEach((node, at) => node.setAttribute("aria-pressed", options[at][0] === value ? "true" : "false"));
        onChoose(value);
    };
    return h("div", { class: "switch", role: "group", "aria-label": label }, buttons);
}

/** A text with a button that copies it. */
export function code(content, label) {
    const body = h("pre", { tabindex: 0, role: "group", "aria-label": label }, content);
    return h("div", { class: "code" }, h("div", { class: "code-head" }, label, copyButton(() => body.textContent, "small")), body);
}

/** A secret that is shown once, with a button that copies it. */
export function secret(content, label) {
    return h("div", { class: "secret" }, h("code", { "aria-label": label, role: "group" }, content), copyButton(() => content));
}

/** A button that copies, and shows the result. */
export function copyButton(content, kind = "") {
    const label = h("span", { "aria-live": "polite" }, text.copy);
    const node = h("button", { type: "button", class: `button ${kind}`, onclick: copy }, icon("copy", 15), label);
    async function copy() {
        try {
            await navigator.clipboard.writeText(content());
            label.textContent = text.copied;
        } catch {
            label.textContent = text.copyFailed;
        }
        setTimeout(() => (label.textContent = text.copy), 2000);
    }
    return node;
}
