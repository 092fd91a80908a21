// Bans: who is banned, why, and the end.

import { get, query } from "../api.js";
import { banClient, liftBan, showBan } from "../ban-dialogs.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { replaceParams } from "../router.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { list, whenTyped } from "../table.js";
import { badge, button, empty, moment, pageHead } from "../widgets.js";

const t = text.bans;

export async function render({ params, signal }) {
    const search = h("input", { class: "input", type: "search", "aria-label": t.search, placeholder: t.search, value: params.get("search") ?? "" });
    const write = can("bans:write");
    const add = (kind) => write && button(t.add, { kind, image: "plus", onclick: () => banClient(null, view.reload) });

    const columns = [
        {
            label: t.target,
            cell: (ban) => h("button", { type: "button", class: "cell-link cell-main mono", onclick: () => showBan(ban), "aria-label": t.why(ban.target) }, ban.target),
        },
        { label: t.kind, cell: (ban) => badge(t.kinds[ban.kind] ?? ban.kind, ban.kind === "key" ? "info" : "") },
        { label: t.reason, cell: (ban) => h("span", { class: "break" }, ban.reason) },
        { label: t.since, cell: (ban) => moment(ban.since) },
        { label: t.until, cell: (ban) => moment(ban.until, t.permanent) },
        write && {
            label: text.actions,
            kind: "actions",
            cell: (ban) => button(t.lift, { kind: "small", onclick: () => liftBan(ban, view.reload), "aria-label": t.liftTitle(ban.target) }),
        },
    ].filter(Boolean);

    const view = list({
        label: t.title,
        columns,
        load: (cursor) => get(`/bans${query({ search: search.value.trim(), cursor, limit: 50 })}`, signal),
        none: () => (search.value.trim() ? empty("search", t.noMatch, t.noMatchHint) : empty("bans", t.none, t.noneHint, add(""))),
    });
    whenTyped(search, () => {
        replaceParams({ search: search.value.trim() });
        view.reload();
    });
    const toolbar = h("div", { class: "toolbar", role: "search" }, h("div", { class: "search" }, icon("search", 16), search));
    const head = pageHead({ title: t.title, hint: t.hint, actions: [add("primary")].filter(Boolean) });
    return [head, h("div", { class: "card" }, toolbar, view.node)];
}
