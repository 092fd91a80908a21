// The effective configuration: warnings, values with their origin, reload.

import { get, post } from "../api.js";
import { backupCard } from "../backup.js";
import { open } from "../dialog.js";
import { h, replace } from "../dom.js";
import { areaField, form } from "../form.js";
import { icon } from "../icons.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { table, whenTyped } from "../table.js";
import { toast, toastError } from "../toast.js";
import { badge, busy, button, card, empty, note, pageHead } from "../widgets.js";

const t = text.settings;

export async function render({ signal, reopen }) {
    const config = await get("/config", signal);
    const actions = can("config:write") ? [button(t.validate, { onclick: validate }), reloadButton(reopen)] : [];
    return [pageHead({ title: t.title, hint: t.hint, actions }), warningsCard(config.warnings), settingsCard(config.settings), backupCard()];
}

function reloadButton(reopen) {
    const node = button(t.reload, { kind: "primary", image: "reload" });
    node.addEventListener("click", () =>
        busy(node, async () => {
            const { pending } = await post("/config/reload", {});
            toast(pending.length ? t.pending(pending.join(", ")) : t.reloaded);
            reopen();
        }).catch(toastError),
    );
    return node;
}

/** The configuration files come from the machine of the server; a draft is checked only. */
function validate() {
    open(
        t.validateTitle,
        (close) => {
            const draft = areaField("text", { label: t.draft, hint: t.draftHint, required: true, mono: true, rows: 12, read: (value) => value });
            const result = h("div", { role: "status" });
            const submit = async (values) => {
                replace(result);
                const { warnings } = await post("/config/validate", values);
                replace(result, warnings.length ? warningList(warnings) : note("ok", t.valid));
            };
            return [form({ fields: [draft], label: t.validate, cancel: close, submit }).node, result];
        },
        { wide: true },
    );
}

function warningsCard(warnings) {
    if (warnings.length === 0) return note("ok", t.noWarnings);
    return card({ title: t.warnings(warnings.length), hint: t.warningsHint }, warningList(warnings));
}

function warningList(warnings) {
    return h(
        "div",
        null,
        warnings.map(({ setting, message, help }) =>
            h("div", { class: "warning" }, h("div", { class: "row" }, badge(t.warning, "warn"), setting && h("code", { class: "break" }, setting)), h("p", null, message), help && h("p", { class: "muted" }, h("b", null, t.fix), " ", help)),
        ),
    );
}

function settingsCard(settings) {
    if (settings.length === 0) return h("div", { class: "card" }, empty("settings", t.none, t.noneHint));
    const search = h("input", { class: "input", type: "search", "aria-label": t.search, placeholder: t.search });
    const changed = h("input", { type: "checkbox" });
    const area = h("div");
    const columns = [
        { label: t.name, cell: (setting) => h("code", { class: "break" }, setting.name) },
        { label: t.value, cell: (setting) => (setting.value === "[redacted]" ? badge(t.redacted) : h("code", { class: "break" }, setting.value)) },
        { label: t.origin, cell: (setting) => (setting.origin ? h("span", { class: "break" }, setting.origin) : h("span", { class: "muted" }, t.default)) },
    ];
    const show = () => {
        const words = search.value.trim().toLowerCase();
        const found = settings.filter(({ name, value, origin }) => (!changed.checked || origin) && `${name} ${value} ${origin ?? ""}`.toLowerCase().includes(words));
        replace(area, found.length ? table(t.title, columns, found).node : empty("search", t.noMatch, t.noMatchHint));
    };
    show();
    whenTyped(search, show);
    changed.addEventListener("change", show);
    const toolbar = h("div", { class: "toolbar", role: "search" }, h("div", { class: "search" }, icon("search", 16), search), h("label", { class: "check" }, changed, h("span", null, t.changedOnly)));
    return h("div", { class: "card" }, toolbar, area);
}
