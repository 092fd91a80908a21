// Export and import of everything but secrets.

import { fileLink, post } from "./api.js";
import { open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { sentence } from "./errors.js";
import { fileField, form } from "./form.js";
import { icon } from "./icons.js";
import { newSecrets, secretGuard } from "./new-secrets.js";
import { can } from "./session.js";
import { text } from "./strings.js";
import { table } from "./table.js";
import { toast } from "./toast.js";
import { button, card, note } from "./widgets.js";

const t = text.backup;
const PARTS = ["roles", "users", "keys", "bans", "budgets", "revocations"];
const EXPORTED = ["config:read", "keys:read", "bans:read", "budgets:read", "users:read"];

/** The card of both, or nothing without the permissions. */
export function backupCard() {
    const actions = [
        EXPORTED.every(can) && h("a", { class: "button", href: fileLink("/export"), download: "stockade-admin.json" }, icon("download", 16), t.export),
        can("config:write") && button(t.import, { image: "upload", onclick: importFile }),
    ].filter(Boolean);
    return actions.length > 0 && card({ title: t.title, hint: t.hint, actions });
}

/** Reads a file, shows what it would create, and creates that. */
function importFile() {
    const guard = secretGuard();
    open(
        t.importTitle,
        (close) => {
            const area = h("div", { class: "stack" });
            const choose = () => {
                const file = fileField("file", { label: t.file, hint: t.fileHint, accept: ".json,application/json" });
                const submit = async () => {
                    const document = await read(file);
                    const report = document && (await check(file, document));
                    if (report) preview(document, report);
                };
                replace(area, h("p", { class: "muted" }, t.importMessage), form({ fields: [file], label: t.check, cancel: close, submit }).node);
                file.input.focus();
            };
            const preview = (document, report) => {
                const total = PARTS.reduce((sum, part) => sum + report[part].created.length, 0);
                const submit = async () => {
                    const { keys } = await post("/import", document.imported);
                    toast(t.imported(total - Object.keys(keys.failed).length));
                    if (keys.created.length + Object.keys(keys.failed).length === 0) return close();
                    replace(area, secrets(document, keys, guard), h("div", { class: "form-actions" }, button(text.done, { onclick: close })));
                    area.querySelector("button").focus();
                };
                const view = total > 0 && form({ fields: [], label: t.importNow(total), cancel: close, submit });
                const back = button(t.otherFile, { kind: "small", onclick: choose });
                replace(area, reportView(report, total), ignored(document), settings(report), h("div", null, back), view ? view.node : h("div", { class: "form-actions" }, button(text.close, { onclick: close })));
                (view ? view.send : back).focus();
            };
            choose();
            return area;
        },
        { wide: true, mayClose: guard.mayClose },
    );
}

/** The parts of an export that are imported, and the number of keys that are not. */
async function read(file) {
    try {
        const { format, roles = [], users = [], bans = [], keys = [], budgets = [], revocations = [], settings } = JSON.parse(await file.input.files[0].text());
        const taken = can("keys:write") ? keys : [];
        const compared = can("config:read") ? settings : undefined;
        if (format !== undefined) return { imported: { format, roles, users, keys: taken, bans, budgets, revocations, settings: compared }, ignored: keys.length - taken.length };
    } catch {
        // Not JSON, or not an object: the message is the same.
    }
    refuse(file, t.notExport);
    return null;
}

/** What an import would create; its errors are about the file. */
async function check(file, document) {
    try {
        return await post("/import?dry_run=true", document.imported);
    } catch (error) {
        if (!error.param) throw error;
        refuse(file, t.invalid(error.param, sentence(error.message)));
        return null;
    }
}

function refuse(file, message) {
    file.setError(message);
    file.input.focus();
}

function reportView(report, total) {
    if (total === 0) return note("ok", t.nothingNew);
    const columns = [
        { label: t.part, cell: (part) => h("span", { class: "cell-main" }, t.parts[part]) },
        { label: t.created, kind: "block", cell: (part) => names(report[part].created) },
        { label: t.skipped, kind: "block", cell: (part) => names(skipped(report[part])) },
    ];
    return [
        h("p", { class: "muted", role: "status" }, t.preview),
        table(t.importTitle, columns, PARTS).node,
        report.users.created.length > 0 && note("warn", t.usersDisabled),
        report.keys.created.length > 0 && note("warn", t.newSecrets),
    ];
}

/** What is here already, or over. */
function skipped({ skipped, revoked = [], expired = [] }) {
    return [...skipped, ...revoked, ...expired];
}

/** The names of a part: the first ones, and the number of the others. */
function names(list) {
    const shown = 12;
    if (list.length === 0) return h("span", { class: "muted" }, text.none);
    const more = list.length > shown && h("span", { class: "muted small" }, t.more(list.length - shown));
    return h("span", { class: "row tight" }, list.slice(0, shown).map((name) => h("span", { class: "tag" }, name)), more);
}

function ignored(document) {
    return document.ignored > 0 && h("p", { class: "small muted" }, t.keysIgnored(document.ignored));
}

/** The settings that the operator may have to change by hand. */
function settings({ settings }) {
    const differing = settings?.differing ?? [];
    if (differing.length === 0) return null;
    const columns = [
        { label: t.setting, cell: ({ name }) => h("code", { class: "break" }, name) },
        { label: t.exported, kind: "block", cell: ({ exported }) => h("code", { class: "break" }, exported ?? text.none) },
        { label: t.present, kind: "block", cell: ({ present }) => h("code", { class: "break" }, present ?? text.none) },
    ];
    return h("details", { class: "more" }, h("summary", null, t.settingsDiffer(differing.length)), table(t.setting, columns, differing).node);
}

/** The new secrets of the imported keys, after those that could not be created. */
function secrets({ imported }, { secrets, failed }, guard) {
    const created = imported.keys.filter(({ id }) => id in secrets).map(({ id, name, owner }) => ({ id, name, owner, secret: secrets[id] }));
    const problems = Object.entries(failed).map(([id, error]) => ({ id, error }));
    const notes = [problems.length > 0 && note("bad", t.keysFailed(problems.length))];
    return newSecrets(created, guard, { failed: problems, notes });
}
