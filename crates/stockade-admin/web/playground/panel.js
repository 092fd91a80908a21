// What a request and its response were: the limits, the record, and the request as code.

import { h, replace } from "../dom.js";
import { count, duration } from "../format.js";
import { link } from "../router.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { badge, choices, code, facts, linkButton } from "../widgets.js";
import { curl, python } from "./snippets.js";

const t = text.playground;
const SHOWN = /^(x-)?ratelimit|^retry-after$|^x-stockade-/;

/** The last response: status, times, tokens, limits and a link to its record. */
export function responsePanel() {
    const node = h("div", null, h("p", { class: "small muted" }, t.noResponse));
    const show = (response, times, usage) => {
        const id = response.headers.get("x-request-id");
        const limits = [...response.headers].filter(([name]) => SHOWN.test(name));
        const rows = [
            [t.status, badge(String(response.status), response.ok ? "ok" : "bad")],
            times.first && [t.firstPart, duration(times.first)],
            times.total && [t.total, duration(times.total)],
            usage && [t.usage, t.tokens(count(usage.prompt_tokens), count(usage.completion_tokens))],
            id && [t.requestId, h("code", { class: "break" }, id)],
        ];
        replace(
            node,
            facts(rows),
            h("h3", { class: "panel-title" }, t.limits),
            limits.length ? facts(limits, "headers") : h("p", { class: "small muted" }, t.noLimits),
            id && can("audit:read") && h("div", { class: "panel-end" }, linkButton(t.record, link("audit", { request_id: id }), { kind: "small", image: "audit" })),
        );
    };
    return { node, show };
}

/** The next request as a command or a program. */
export function snippetPanel(base) {
    const area = h("div");
    let language = "curl";
    let shown = null;
    const draw = () => {
        if (!shown) return;
        const { body, picture } = shown;
        const content = language === "curl" ? curl(`${base}/v1/chat/completions`, body, picture) : python(base, body, picture);
        replace(area, code(content, t.languages[language]));
    };
    const languages = Object.entries(t.languages);
    const chooser = choices(t.language, languages, language, (chosen) => {
        language = chosen;
        draw();
    });
    const show = (body, picture) => {
        shown = { body, picture };
        draw();
    };
    return { node: h("div", { class: "stack" }, chooser, area, h("p", { class: "small muted" }, t.keyInSnippet)), show };
}
