// One audit record in a dialog, with links to what it belongs to.

import { banClient } from "./ban-dialogs.js";
import { open } from "./dialog.js";
import { h } from "./dom.js";
import { count, duration, fullTime } from "./format.js";
import { link } from "./router.js";
import { can } from "./session.js";
import { text } from "./strings.js";
import { button, code, facts, linkButton } from "./widgets.js";

const t = text.audit;
const TIMES = new Set(["timestamp"]);
const DURATIONS = new Set(["latency_ms"]);
const NUMBERS = new Set(["prompt_tokens", "completion_tokens"]);

function value(name, content) {
    if (TIMES.has(name)) return fullTime(content);
    if (DURATIONS.has(name)) return duration(content);
    if (NUMBERS.has(name)) return count(content);
    return typeof content === "object" ? JSON.stringify(content) : String(content);
}

/** Shows all fields of a record. */
export function showRecord(record) {
    const present = Object.entries(record).filter(([, content]) => content !== null && content !== undefined && content !== "");
    open(
        t.record,
        (close) => {
            const closing = (node) => {
                node.addEventListener("click", close);
                return node;
            };
            const actions = [
                record.request_id && closing(linkButton(t.sameRequest, link("audit", { request_id: record.request_id }), { kind: "small" })),
                record.user && closing(linkButton(t.sameUser, link("audit", { user: record.user }), { kind: "small" })),
                record.ip && closing(linkButton(t.sameClient, link("audit", { ip: record.ip }), { kind: "small" })),
                record.ip && can("bans:write") && closing(button(t.banClient, { kind: "small danger", onclick: () => banClient(record.ip, () => {}) })),
            ];
            const raw = h("details", { class: "more" }, h("summary", null, t.raw), code(JSON.stringify(record, null, 2), t.raw));
            return [facts(present.map(([name, content]) => [t.fields[name] ?? name, value(name, content)])), h("div", { class: "row" }, actions), raw];
        },
        { wide: true },
    );
}
