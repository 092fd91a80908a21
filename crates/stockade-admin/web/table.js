// Tables that become a list of cards on narrow screens, and pages of them.

import { append, h, replace } from "./dom.js";
import { errorPage } from "./errors.js";
import { text } from "./strings.js";
import { button, busy, skeleton } from "./widgets.js";

/**
 * A table. A column is `{label, cell(item), kind}`; the roles keep its meaning where the style
 * changes its layout.
 */
export function table(label, columns, items) {
    const body = h("tbody", { role: "rowgroup" });
    const headings = columns.map(({ label: name, kind = "" }) =>
        h("th", { scope: "col", role: "columnheader", class: kind }, kind === "actions" ? h("span", { class: "hidden-text" }, name) : name),
    );
    const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headings));
    const node = h("table", { class: "table", role: "table", "aria-label": label }, head, body);
    const add = (more) => append(body, more.map((item) => row(columns, item)));
    add(items);
    return { node: h("div", { class: "table-wrap" }, node), add, body };
}

function row(columns, item) {
    const cells = columns.map(({ label, cell, kind = "" }, at) => {
        const content = cell(item);
        const missing = content === null || content === undefined || content === "";
        const classes = `${kind} ${at === 0 ? "first" : ""} ${missing ? "absent" : ""}`;
        return h("td", { role: "cell", class: classes, "data-label": label }, Array.isArray(content) ? h("div", null, content) : content);
    });
    return h("tr", { role: "row" }, cells);
}

/**
 * A list that loads its pages. `load(cursor)` returns `{data, next_cursor}`; `none` is shown
 * without items.
 */
export function list({ label, columns, load, none, summary }) {
    const node = h("div", null, skeleton(5));
    let current = 0;

    async function reload() {
        current += 1;
        const turn = current;
        node.setAttribute("aria-busy", "true");
        try {
            const page = await load(null);
            if (turn === current) show(page);
        } catch (error) {
            if (error.name === "AbortError" || turn !== current) return;
            replace(node, errorPage(error, button(text.retry, { image: "reload", onclick: reload })));
        } finally {
            if (turn === current) node.removeAttribute("aria-busy");
        }
    }

    function show(page) {
        // A search may continue although its first page has nothing.
        if (page.data.length === 0 && !page.next_cursor) {
            replace(node, none());
            return;
        }
        const view = table(label, columns, page.data);
        const end = h("div", { class: "table-end" });
        let shown = page.data.length;
        const fill = (cursor) => {
            const words = h("span", { role: "status" }, (summary ?? text.shown)(shown, cursor !== null));
            replace(end, words, cursor !== null && more(cursor));
        };
        const more = (cursor) => {
            const next = button(text.showMore, { kind: "small" });
            next.addEventListener("click", () =>
                busy(next, async () => {
                    const following = await load(cursor);
                    view.add(following.data);
                    shown += following.data.length;
                    fill(following.next_cursor ?? null);
                }),
            );
            return next;
        };
        fill(page.next_cursor ?? null);
        replace(node, view.node, end);
    }

    reload();
    return { node, reload };
}

/** Calls the listener a moment after the last key press. */
export function whenTyped(input, listener) {
    let timer = 0;
    input.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(listener, 250);
    });
}
