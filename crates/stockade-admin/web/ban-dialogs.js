// Dialogs that ban a client, lift a ban, and show why it was banned.

import { get, path, post, remove } from "./api.js";
import { confirm, open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { errorText } from "./errors.js";
import { eventName } from "./event-name.js";
import { form, selectField, textField } from "./form.js";
import { link } from "./router.js";
import { can } from "./session.js";
import { text } from "./strings.js";
import { shortTime } from "./format.js";
import { toast } from "./toast.js";
import { absent, badge, facts, linkButton, moment, note, skeleton } from "./widgets.js";

const t = text.bans;

/** Bans a client; `target` is a suggestion. */
export function banClient(target, onDone) {
    open(t.addTitle, (close) => {
        const fields = [
            textField("target", { label: t.target, hint: t.targetHint, value: target ?? "", required: true, mono: true }),
            selectField("duration_secs", { label: t.duration, options: t.durations, value: "3600", read: (value) => (value === "" ? null : Number(value)) }),
            textField("reason", { label: t.reason, hint: t.reasonHint, required: true, maxlength: 200 }),
        ];
        const submit = async (values) => {
            await post("/bans", values);
            toast(t.banned(values.target));
            close();
            onDone();
        };
        return form({ fields, label: t.add, kind: "danger primary", cancel: close, submit }).node;
    });
}

/** Lifts a ban after a question. */
export function liftBan(ban, onDone) {
    confirm({
        title: t.liftTitle(ban.target),
        message: t.liftMessage,
        label: t.lift,
        danger: false,
        action: async () => {
            await remove(path`/bans/${ban.target}`);
            toast(t.lifted(ban.target));
            onDone();
        },
    });
}

/** Shows why a client is banned, and what happened before. */
export function showBan(ban) {
    const history = h("div", null, skeleton(3));
    get(path`/bans/${ban.target}/history`).then(
        (page) => replace(history, page.data.length ? page.data.map(event) : h("p", { class: "muted small" }, t.noHistory)),
        (error) => replace(history, note("bad", errorText(error))),
    );
    open(ban.target, (close) => {
        const filter = ban.kind === "key" ? { user: ban.target.replace(/^key:/, "") } : { ip: ban.target.split("/")[0] };
        const records = linkButton(t.records, link("audit", filter), { kind: "small", image: "audit" });
        records.addEventListener("click", close);
        return [
            facts([
                [t.reason, ban.reason],
                [t.since, shortTime(ban.since)],
                [t.until, ban.until ? shortTime(ban.until) : t.permanent],
            ]),
            h("h3", null, t.history),
            history,
            can("audit:read") && h("div", null, records),
        ];
    });
}

const TONES = { banned: "bad", unbanned: "ok", would_ban: "warn" };

function event(record) {
    const kind = badge(eventName(record.event), TONES[record.event] ?? "info");
    const words = record.reason ?? record.detail ?? record.message;
    return h("div", { class: "model-line" }, h("span", { class: "row" }, kind, moment(record.timestamp)), h("span", { class: "break small" }, words ?? absent()));
}
