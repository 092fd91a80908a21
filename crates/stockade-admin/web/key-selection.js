// The choice of several keys in their list, which are then rotated together.

import { get, query } from "./api.js";
import { h, replace } from "./dom.js";
import { rotateKeys } from "./rotate-keys.js";
import { text } from "./strings.js";
import { toastError } from "./toast.js";
import { busy, button } from "./widgets.js";

const t = text.keys;

/** A selection; `filters()` are those of the list, `onDone` is called after a rotation. */
export function keySelection({ filters, onDone }) {
    const chosen = new Map();
    const boxes = new Map();
    const words = h("span", { role: "status" });
    const clear = button(t.clearSelection, { kind: "small plain", onclick: () => set([]) });
    const all = button(t.selectMatching, { kind: "small" });
    const rotate = button(t.rotate, { kind: "small primary", image: "reload" });
    const bar = h("div", { class: "selection", hidden: true }, words, h("div", { class: "row" }, all, clear, rotate));

    function show() {
        bar.hidden = chosen.size === 0;
        replace(words, t.selected(chosen.size));
        for (const [id, box] of boxes) box.checked = chosen.has(id);
    }

    function set(keys) {
        chosen.clear();
        for (const key of keys) chosen.set(key.id, key);
        show();
    }

    /** All active keys with a secret that the list finds, not only those of its first page. */
    async function selectAll() {
        const found = [];
        let cursor = null;
        do {
            const page = await get(`/keys${query({ ...filters(), state: "active", cursor, limit: 500 })}`);
            found.push(...page.data.filter((key) => !key.certificate));
            cursor = page.next_cursor;
        } while (cursor);
        set(found);
    }

    all.addEventListener("click", () => busy(all, selectAll).catch(toastError));
    rotate.addEventListener("click", () =>
        rotateKeys([...chosen.values()], () => {
            set([]);
            onDone();
        }),
    );

    /** The check box of a key; only active keys with a secret can be rotated. */
    function box(key) {
        const node = h("input", { type: "checkbox", class: "select", "aria-label": t.select(key.name || key.id), disabled: key.state !== "active" || Boolean(key.certificate), checked: chosen.has(key.id) });
        node.addEventListener("change", () => {
            if (node.checked) chosen.set(key.id, key);
            else chosen.delete(key.id);
            show();
        });
        boxes.set(key.id, node);
        return node;
    }
    return { node: bar, box };
}
