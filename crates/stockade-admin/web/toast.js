// Short messages about finished actions, read aloud by screen readers.

import { h } from "./dom.js";
import { errorText } from "./errors.js";
import { icon } from "./icons.js";
import { text } from "./strings.js";

const VISIBLE_MS = 5000;
const area = h("div", { class: "toasts", role: "region", "aria-label": text.messages, "aria-live": "polite" });

/** Adds the area of messages to the document. */
export function mount(parent) {
    parent.append(area);
}

/** Shows a message; errors stay until they are closed. */
export function toast(message, tone = "ok") {
    const close = h(
        "button",
        { type: "button", class: "button plain icon small", "aria-label": text.close, onclick: () => node.remove() },
        icon("close", 14),
    );
    const words = h("div", { class: "break" }, message);
    const node = h("div", { class: `toast ${tone}` }, icon(tone === "bad" ? "alert" : "check"), words, close);
    area.append(node);
    if (tone !== "bad") setTimeout(() => node.remove(), VISIBLE_MS);
}

/** Shows an error of an action that has no form. */
export function toastError(error) {
    toast(errorText(error), "bad");
}
