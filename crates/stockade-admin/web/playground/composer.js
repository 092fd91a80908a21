// Where a question is written: text, and a picture by drop, paste or file.

import { freshId, h, replace } from "../dom.js";
import { bytes } from "../format.js";
import { text } from "../strings.js";
import { button, iconButton, note } from "../widgets.js";
import { accepted, pictureOf, readPicture } from "./picture.js";

const t = text.playground;

/**
 * The form of a question. `send(words, picture, signal)` returns whether the question was sent;
 * `onChange` is called after each change.
 */
export function composer({ send, onChange, signal }) {
    let picture = null;
    let running = null;
    const id = freshId("question");
    const words = h("textarea", { class: "input", id, rows: 2, placeholder: t.placeholder, enterkeyhint: "send" });
    const file = h("input", { type: "file", accept: accepted, class: "hidden-text", tabindex: -1, "aria-label": t.chooseFile });
    const attached = h("div");
    const problem = h("div", { "aria-live": "assertive" });
    const attach = button(t.attach, { image: "picture", onclick: () => file.click() });
    const submit = button(t.send, { type: "submit", kind: "primary", image: "send" });
    const stop = button(t.stop, { image: "stop", onclick: () => running?.abort(), hidden: true });
    const node = h(
        "form",
        { class: "composer", onsubmit },
        h("label", { class: "field-label", for: id }, t.question),
        attached,
        words,
        problem,
        h("div", { class: "composer-end" }, h("div", { class: "row" }, attach, file, h("span", { class: "small muted" }, t.dropHint)), h("div", { class: "row" }, stop, submit)),
    );

    function showPicture() {
        const remove = () => {
            picture = null;
            showPicture();
            words.focus();
        };
        const parts = picture && [
            h("img", { src: picture.url, alt: "" }),
            h("span", null, picture.name, h("span", { class: "cell-sub" }, t.pictureSize(picture.width, picture.height, bytes(picture.size)))),
            iconButton(t.removePicture, "close", { kind: "plain small", onclick: remove }),
        ];
        replace(attached, parts && h("div", { class: "attached" }, ...parts));
        onChange();
    }

    async function take(source) {
        if (!source) return;
        replace(problem);
        try {
            picture = await readPicture(source);
            showPicture();
            words.focus();
        } catch (error) {
            replace(problem, note("bad", t.pictureErrors[error.message] ?? t.pictureErrors.damaged));
        }
    }

    async function onsubmit(event) {
        event.preventDefault();
        const question = words.value.trim();
        if (running || (!question && !picture)) return;
        running = new AbortController();
        const leave = () => running?.abort();
        signal.addEventListener("abort", leave);
        submit.disabled = true;
        stop.hidden = false;
        const sent = { question, picture };
        words.value = "";
        picture = null;
        showPicture();
        const done = await send(sent.question, sent.picture, running.signal);
        if (!done) {
            words.value = sent.question;
            picture = sent.picture;
        }
        running = null;
        signal.removeEventListener("abort", leave);
        submit.disabled = false;
        stop.hidden = true;
        showPicture();
        if (done) words.focus();
    }

    file.addEventListener("change", () => {
        take(file.files[0]);
        file.value = "";
    });
    words.addEventListener("input", onChange);
    words.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        node.requestSubmit();
    });
    node.addEventListener("paste", (event) => {
        const source = pictureOf(event.clipboardData);
        if (!source) return;
        event.preventDefault();
        take(source);
    });
    node.addEventListener("dragover", (event) => {
        event.preventDefault();
        node.classList.add("drop");
    });
    node.addEventListener("dragleave", () => node.classList.remove("drop"));
    node.addEventListener("drop", (event) => {
        event.preventDefault();
        node.classList.remove("drop");
        take(pictureOf(event.dataTransfer));
    });
    return { node, words: () => words.value.trim(), picture: () => picture, focus: () => words.focus() };
}
