// The filters of audit records: a search, a period and a kind; the others on request.

import { freshId, h } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./strings.js";
import { whenTyped } from "./table.js";
import { button } from "./widgets.js";

const t = text.audit;
const EXACT = ["user", "ip", "status", "code", "event", "guard", "model", "path", "request_id"];
const PERIOD_SECS = { hour: 3600, day: 86_400, week: 604_800, month: 2_592_000 };

/** The bar of filters. `values` are those of the API, `shown` those of the address of the page. */
export function filterBar(params, onChange) {
    const inputs = new Map();
    const add = (name, node) => {
        inputs.set(name, node);
        node.value = params.get(name) ?? "";
        return node;
    };
    const search = add("search", h("input", { class: "input", type: "search", "aria-label": t.search, placeholder: t.search }));
    const select = (name, label, options) =>
        add(name, h("select", { class: "input compact", "aria-label": label }, Object.entries(options).map(([value, words]) => h("option", { value }, words))));
    const kind = select("kind", t.kind, { "": t.anyKind, ...t.kinds });
    const period = select("period", t.period, { "": t.anyPeriod, ...t.periods });
    const exact = EXACT.map((name) => {
        const id = freshId("filter");
        const input = add(name, h("input", { class: "input mono", id, type: "search", autocomplete: "off", spellcheck: "false" }));
        return h("div", { class: "field" }, h("label", { for: id }, t.filters[name]), input);
    });

    const present = () => [...inputs].map(([name, node]) => [name, node.value.trim()]).filter(([, value]) => value);
    const shown = () => Object.fromEntries(present());
    const values = () => {
        const { period: chosen, ...others } = shown();
        const secs = PERIOD_SECS[chosen];
        return secs ? { ...others, from: new Date(Date.now() - secs * 1000).toISOString() } : others;
    };
    const clear = () => {
        for (const node of inputs.values()) node.value = "";
        onChange();
    };

    const active = EXACT.some((name) => params.get(name));
    const panel = h("div", { class: "filter-panel", id: freshId("filters"), hidden: !active }, h("div", { class: "form-row" }, exact), button(t.clear, { kind: "small", onclick: clear }));
    const toggle = button(t.moreFilters, { image: "settings", "aria-expanded": String(active), "aria-controls": panel.id });
    toggle.addEventListener("click", () => {
        panel.hidden = !panel.hidden;
        toggle.setAttribute("aria-expanded", String(!panel.hidden));
    });
    for (const [, node] of inputs) {
        if (node.tagName === "SELECT") node.addEventListener("change", onChange);
        else whenTyped(node, onChange);
    }
    const bar = h("div", { class: "toolbar" }, h("div", { class: "search" }, icon("search", 16), search), kind, period, toggle);
    return { node: h("div", { role: "search" }, bar, panel), values, shown };
}
