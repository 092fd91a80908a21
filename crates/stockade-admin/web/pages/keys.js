// The list of keys.

import { get, query } from "../api.js";
import { spark } from "../chart.js";
import { h, replace } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { createKey } from "../key-dialogs.js";
import { keySelection } from "../key-selection.js";
import { keyBadge } from "../key-state.js";
import { link, replaceParams } from "../router.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { list, whenTyped } from "../table.js";
import { absent, button, empty, moment, pageHead, tags } from "../widgets.js";

const t = text.keys;
const DAYS = 7;
const DAY_MS = 86_400_000;

export async function render({ params, signal }) {
    const search = h("input", { class: "input", type: "search", "aria-label": t.search, placeholder: t.search, value: params.get("search") ?? "" });
    const states = [["", t.anyState], ...Object.entries(t.states)];
    const state = h("select", { class: "input compact", "aria-label": t.state, value: params.get("state") ?? "" }, states.map(([value, label]) => h("option", { value }, label)));
    const filters = () => ({ search: search.value.trim(), state: state.value });
    const usage = can("usage:read") ? usageOfKeys(signal) : Promise.resolve(new Map());

    const write = can("keys:write");
    const selection = write ? keySelection({ filters, onDone: () => view.reload() }) : null;

    const view = list({
        label: t.title,
        columns: columns(usage, selection),
        load: (cursor) => get(`/keys${query({ ...filters(), cursor, limit: 50 })}`, signal),
        none: () => none(filters()),
    });
    const changed = () => {
        replaceParams(filters());
        view.reload();
    };
    whenTyped(search, changed);
    state.addEventListener("change", changed);

    const create = () => createKey(view.reload);
    const none = (present) => {
        if (Object.values(present).some(Boolean)) return empty("search", t.noMatch, t.noMatchHint);
        return empty("keys", t.none, t.noneHint, write && button(t.create, { kind: "primary", image: "plus", onclick: create }));
    };
    const actions = write ? [button(t.create, { kind: "primary", image: "plus", onclick: create })] : [];
    const toolbar = h("div", { class: "toolbar", role: "search" }, h("div", { class: "search" }, icon("search", 16), search), state);
    return [pageHead({ title: t.title, hint: t.hint, actions }), h("div", { class: "card" }, toolbar, selection?.node, view.node)];
}

function columns(usage, selection) {
    const name = (key) => [h("a", { class: "cell-main", href: link("keys", key.id) }, key.name || key.id), key.name && h("span", { class: "cell-sub mono" }, key.id), key.certificate && h("span", { class: "cell-sub" }, `${t.certificate}: ${key.certificate}`)];
    return [
        {
            label: t.key,
            cell: (key) => (selection ? h("div", { class: "selectable" }, selection.box(key), h("div", null, name(key))) : name(key)),
        },
        { label: t.owner, cell: (key) => (key.owner || key.team ? [h("span", { class: "break" }, key.owner ?? ""), key.team && h("span", { class: "cell-sub" }, key.team)] : absent()) },
        { label: t.scopes, cell: (key) => tags(key.scopes) },
        { label: t.state, cell: (key) => keyBadge(key) },
        { label: t.expires, cell: (key) => moment(key.expires_at, t.never) },
        { label: t.lastUsed, cell: (key) => moment(key.last_used_at, t.unused) },
        { label: t.week, cell: (key) => usageCell(key, usage) },
    ];
}

/** The requests of each key on each of the last days. */
async function usageOfKeys(signal) {
    const from = new Date(Date.now() - (DAYS - 1) * DAY_MS);
    from.setUTCHours(0, 0, 0, 0);
    const page = await get(`/usage${query({ from: from.toISOString(), group_by: "key", by: "day", limit: 500 })}`, signal);
    const byKey = new Map();
    for (const row of page.data) {
        const days = byKey.get(row.key) ?? Array(DAYS).fill(0);
        const day = Math.floor((new Date(row.time) - from) / DAY_MS);
        if (day >= 0 && day < DAYS) days[day] += row.requests;
        byKey.set(row.key, days);
    }
    return byKey;
}

function usageCell(key, usage) {
    const node = h("span", { class: "row steady" });
    usage.then(
        (byKey) => {
            const days = byKey.get(key.id);
            const total = days?.reduce((sum, value) => sum + value, 0) ?? 0;
            replace(node, days ? [spark(days, t.weekLabel(total)), h("span", { class: "small muted" }, count(total))] : absent());
        },
        () => replace(node, absent()),
    );
    return node;
}
