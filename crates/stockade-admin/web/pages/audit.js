// The search in audit records.

import { fileLink, get, query } from "../api.js";
import { filterBar } from "../audit-filters.js";
import { showRecord } from "../audit-record.js";
import { h, replace } from "../dom.js";
import { duration, fullTime } from "../format.js";
import { icon } from "../icons.js";
import { eventName } from "../event-name.js";
import { replaceParams } from "../router.js";
import { text } from "../strings.js";
import { list } from "../table.js";
import { absent, badge, empty, pageHead } from "../widgets.js";

const t = text.audit;
/** A record is written within this time. */
const LATE_MS = 1000;

export async function render({ params, signal }) {
    const bar = filterBar(params, () => {
        replaceParams(bar.shown());
        exports();
        view.reload();
    });
    const links = h("div", { class: "row" });
    const exports = () =>
        replace(
            links,
            ["csv", "jsonl"].map((format) =>
                h("a", { class: "button", href: fileLink(`/audit/export${query({ ...bar.values(), format })}`), download: `audit.${format}` }, icon("download", 16), t.exportAs(format.toUpperCase())),
            ),
        );
    exports();

    async function load(cursor) {
        const filters = bar.values();
        const read = () => get(`/audit${query({ ...filters, cursor, limit: 50 })}`, signal);
        const page = await read();
        // The record of a request is written a moment after its response, from which a link leads here.
        if (page.data.length > 0 || !filters.request_id) return page;
        await new Promise((resolve) => setTimeout(resolve, LATE_MS));
        return read();
    }

    const view = list({
        label: t.title,
        columns: columns(),
        load,
        none: () => (Object.keys(bar.shown()).length ? empty("search", t.noMatch, t.noMatchHint) : empty("audit", t.none, t.noneHint)),
    });
    const head = pageHead({ title: t.title, hint: t.hint, actions: [links] });
    return [head, h("div", { class: "card" }, bar.node, view.node)];
}

/** What a record is about: a request, or an event. */
function title(record) {
    if (record.method || record.path) return [record.method, record.path].filter(Boolean).join(" ");
    return record.event ? eventName(record.event) : record.message;
}

export function outcome(record) {
    if (record.code) return badge(record.code, record.outcome === "refused" || record.guard ? "warn" : "bad");
    if (record.status) return badge(String(record.status), record.status < 400 ? "ok" : record.status < 500 ? "warn" : "bad");
    return record.event ? badge(t.event, "info") : absent();
}

/** The user, and what a change is about. */
function who({ user, subject }) {
    const about = subject && subject !== user && h("span", { class: user ? "cell-sub" : "break muted" }, subject);
    return user || about ? [user && h("span", { class: "break" }, user), about] : null;
}

function columns() {
    return [
        {
            label: t.what,
            cell: (record) => [
                h("button", { type: "button", class: "cell-link cell-main", onclick: () => showRecord(record) }, title(record)),
                h("span", { class: "cell-sub" }, h("time", { datetime: record.timestamp }, fullTime(record.timestamp))),
            ],
        },
        { label: t.outcome, cell: outcome },
        { label: t.user, cell: who },
        { label: t.ip, cell: (record) => (record.ip ? h("span", { class: "mono nowrap" }, record.ip) : null) },
        { label: t.model, cell: (record) => (record.model ? h("span", { class: "break" }, record.model) : null) },
        { label: t.latency, kind: "number", cell: (record) => (record.latency_ms === null || record.latency_ms === undefined ? null : duration(record.latency_ms)) },
    ];
}
