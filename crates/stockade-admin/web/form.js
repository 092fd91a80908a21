// Forms: fields with labels, hints and their own errors.

import { ApiError } from "./api.js";
import { freshId, h, replace } from "./dom.js";
import { errorText, sentence } from "./errors.js";
import { icon } from "./icons.js";
import { text } from "./strings.js";
import { busy, button, note } from "./widgets.js";

/**
 * A field. `read` converts the text into the value of the request; the default is the text, or
 * `undefined` when it is empty.
 */
export function field(name, { label, hint, input, read, optional = false }) {
    const id = freshId("field");
    const hintId = `${id}-hint`;
    const errorId = `${id}-error`;
    const error = h("p", { class: "error", id: errorId, hidden: true });
    input.id = id;
    input.setAttribute("name", name);
    if (hint) input.setAttribute("aria-describedby", hintId);
    const node = h(
        "div",
        { class: "field" },
        h("label", { for: id }, label, optional && h("span", { class: "optional" }, ` ${text.optional}`)),
        input,
        hint && h("p", { class: "hint", id: hintId }, hint),
        error,
    );
    const setError = (message) => {
        error.hidden = !message;
        replace(error, message && [icon("alert", 15), h("span", null, message)]);
        input.setAttribute("aria-invalid", message ? "true" : "false");
        const described = [message && errorId, hint && hintId].filter(Boolean).join(" ");
        if (described) input.setAttribute("aria-describedby", described);
        else input.removeAttribute("aria-describedby");
    };
    input.addEventListener("input", () => setError(null));
    const value = () => (read ? read(input.value) : input.value.trim() || undefined);
    return { name, node, input, setError, value };
}

/** A field of one line. */
export function textField(name, { label, hint, read, optional, mono, type = "text", ...props }) {
    const input = h("input", { class: `input ${mono ? "mono" : ""}`, type, spellcheck: "false", autocapitalize: "off", autocomplete: "off", ...props });
    return field(name, { label, hint, input, read, optional });
}

/** A field of several lines. */
export function areaField(name, { label, hint, read, optional, mono, ...props }) {
    const input = h("textarea", { class: `input ${mono ? "mono" : ""}`, spellcheck: "false", ...props });
    return field(name, { label, hint, input, read, optional });
}

/** A file of the user's machine. */
export function fileField(name, { label, hint, ...props }) {
    const input = h("input", { class: "input", type: "file", required: true, ...props });
    return field(name, { label, hint, input });
}

/** A choice from a list of `[value, label]`. */
export function selectField(name, { label, hint, options, read, value, ...props }) {
    const items = options.map(([key, words]) => h("option", { value: key }, words));
    const input = h("select", { class: "input", value, ...props }, items);
    return field(name, { label, hint, input, read });
}

/** A positive integer, or nothing. */
export function numberField(name, props) {
    const read = (value) => (value === "" ? undefined : Number(value));
    return textField(name, { type: "number", min: 1, step: 1, inputmode: "numeric", optional: true, read, ...props });
}

/** Words separated by spaces or commas. */
export function words(value) {
    return value.split(/[\s,]+/).filter(Boolean);
}

/** Several choices of a list of `[value, label, disabled]`. */
export function checksField(name, { label, options, chosen = [] }) {
    const id = freshId("field");
    const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
    const inputs = options.map(([value, , disabled]) =>
        h("input", { type: "checkbox", value, disabled, checked: chosen.includes(value) }),
    );
    const items = options.map(([, words_], at) => h("label", { class: "check" }, inputs[at], h("span", null, words_)));
    const node = h("fieldset", { class: "field", "aria-describedby": `${id}-error` }, h("legend", null, label), h("div", { class: "checks" }, items), error);
    const setError = (message) => {
        error.hidden = !message;
        replace(error, message && [icon("alert", 15), h("span", null, message)]);
    };
    const value = () => inputs.filter((input) => input.checked).map((input) => input.value);
    return { name, node, input: inputs[0], setError, value };
}

/** The field that an error is about: `quotas.weight` belongs to a field of that name, or `quotas`. */
function fieldOf(fields, param) {
    const exact = fields.find(({ name }) => name === param);
    return exact ?? fields.find(({ name }) => param.startsWith(`${name}.`) || param.startsWith(`${name}[`) || name.endsWith(`.${param}`));
}

/**
 * A form. `layout` is its content; `submit` receives the values by name and shows progress until
 * it returns. Its errors appear at their field, or above the buttons.
 */
export function form({ fields, layout, label, image, kind = "primary", submit, cancel, wide = false }) {
    const message = h("div", { "aria-live": "assertive" });
    const send = button(label, { type: "submit", kind: `${kind} ${wide ? "wide" : ""}`, image });
    const actions = h("div", { class: "form-actions" }, cancel && button(text.cancel, { onclick: cancel }), send);
    const node = h("form", { class: "form", novalidate: true, onsubmit }, layout ?? fields.map((item) => item.node), message, actions);

    function fail(error) {
        const target = error instanceof ApiError && error.param && fieldOf(fields, error.param);
        if (target) {
            target.setError(sentence(error.message));
            target.node.closest("details")?.setAttribute("open", "");
            target.input?.focus();
        } else {
            replace(message, note("bad", errorText(error)));
        }
    }

    function missing() {
        const required = fields.filter(({ input }) => input?.required && !input.value.trim());
        required.forEach((item) => item.setError(text.errors.required));
        required[0]?.input.focus();
        return required.length > 0;
    }

    async function onsubmit(event) {
        event.preventDefault();
        replace(message);
        fields.forEach((item) => item.setError(null));
        if (missing()) return;
        const values = Object.fromEntries(fields.map((item) => [item.name, item.value()]));
        try {
            await busy(send, () => submit(values));
        } catch (error) {
            fail(error);
        }
    }
    return { node, fail, send };
}
