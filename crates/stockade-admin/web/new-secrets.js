// New secrets of keys, which are shown once and can be saved in a file.

import { h, replace } from "./dom.js";
import { csv, download } from "./download.js";
import { sentence } from "./errors.js";
import { text } from "./strings.js";
import { table } from "./table.js";
import { badge, button, copyButton, note } from "./widgets.js";

const t = text.keys;
/** The secrets that are shown; the file has all of them. */
const SHOWN = 200;

/** Secrets that were not saved are lost: the first attempt to close their dialog only warns. */
export function secretGuard() {
    let warn = null;
    return {
        arm: (show) => (warn = show),
        disarm: () => (warn = null),
        mayClose() {
            const show = warn;
            warn = null;
            show?.();
            return !show;
        },
    };
}

/** Shows keys with their new secrets (`id`, `name`, `owner`, `secret`), after those that failed (`id`, `error`). */
export function newSecrets(keys, guard, { failed = [], notes = [] } = {}) {
    const problem = h("div");
    if (keys.length > 0) guard.arm(() => replace(problem, note("bad", t.notSaved)));
    const file = button(t.downloadSecrets, { kind: "primary", image: "download" });
    file.addEventListener("click", () => {
        download("stockade-keys.csv", "text/csv", csv([["id", "name", "owner", "secret"], ...keys.map(({ id, name, owner, secret }) => [id, name, owner, secret])]));
        guard.disarm();
    });
    const copy = copyButton(() => keys.map(({ id, secret }) => `${id} ${secret}\n`).join(""));
    copy.addEventListener("click", guard.disarm);
    const columns = [
        { label: t.key, cell: ({ id, name }) => [h("span", { class: "cell-main" }, name || id), name && h("span", { class: "cell-sub mono" }, id)] },
        { label: t.secret, kind: "block", cell: ({ secret, error }) => (secret ? h("code", { class: "break" }, secret) : [badge(t.noSecret, "bad"), h("span", { class: "cell-sub" }, sentence(error.message))]) },
    ];
    const rows = [...failed, ...keys];
    return [
        keys.length > 0 && note("warn", h("strong", null, t.onceSeveral(keys.length)), " ", t.onceSeveralHint),
        ...notes,
        keys.length > 0 && h("div", { class: "row" }, file, copy),
        h("div", { class: "rotated", tabindex: 0, role: "group", "aria-label": t.newSecrets }, table(t.newSecrets, columns, rows.slice(0, SHOWN)).node),
        rows.length > SHOWN && h("p", { class: "small muted" }, t.fileHasAll(SHOWN)),
        problem,
    ];
}
