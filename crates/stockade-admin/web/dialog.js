// Dialogs: the browser keeps the focus inside and returns it afterwards.

import { freshId, h } from "./dom.js";
import { form, textField } from "./form.js";
import { text } from "./strings.js";
import { iconButton } from "./widgets.js";

/**
 * Opens a dialog. `fill` receives a function that closes it, and returns its content. While
 * `mayClose` returns false, the dialog stays open.
 */
export function open(title, fill, { wide = false, onClose, mayClose = () => true } = {}) {
    const id = freshId("dialog");
    const close = () => mayClose() && node.close();
    const head = h("div", { class: "dialog-head" }, h("h2", { id }, title), iconButton(text.close, "close", { kind: "plain", onclick: close }));
    const body = h("div", { class: "dialog-body" });
    const node = h("dialog", { class: `dialog ${wide ? "wide" : ""}`, "aria-labelledby": id }, head, body);
    node.addEventListener("cancel", (event) => {
        if (event.target === node && !mayClose()) event.preventDefault();
    });
    node.addEventListener("close", () => {
        node.remove();
        onClose?.();
    });
    body.append(...[fill(close)].flat().filter(Boolean));
    document.body.append(node);
    node.showModal();
    const first = body.querySelector("input:not([type=hidden]), select, textarea");
    (first ?? body.querySelector("button") ?? node).focus();
    return close;
}

/** Asks before an action; `typed` is text that the user must enter for an action without return. */
export function confirm({ title, message, label, typed, fields = [], danger = true, action }) {
    open(title, (close) => {
        const word = typed && textField("typed", { label: text.typeToConfirm(typed), required: true, mono: true });
        const view = form({
            fields: [...fields, word].filter(Boolean),
            label,
            kind: danger ? "danger primary" : "primary",
            cancel: close,
            submit: async (values) => {
                if (word && word.input.value.trim() !== typed) {
                    word.setError(text.errors.typed(typed));
                    word.input.focus();
                    return;
                }
                await action(values);
                close();
            },
        });
        return [h("p", null, message), view.node];
    });
}
