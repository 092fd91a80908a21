// Access tokens: their revocation.

import { get, post } from "../api.js";
import { h, replace } from "../dom.js";
import { shortTime } from "../format.js";
import { areaField, form, selectField, textField } from "../form.js";
import { claimsOf } from "../jwt.js";
import { link } from "../router.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { toast } from "../toast.js";
import { card, empty, facts, linkButton, note, pageHead } from "../widgets.js";

const t = text.tokens;
/** Servers accept tokens for this time after their expiry, because clocks differ. */
const LEEWAY_SECS = 60;

export async function render({ signal }) {
    const head = pageHead({ title: t.title, hint: t.hint });
    const count = h("strong");
    const refresh = async () => replace(count, String((await get("/revocations", signal)).revoked));
    try {
        await refresh();
    } catch (error) {
        // The server was configured without revocations.
        if (error.status !== 409) throw error;
        return [head, h("div", { class: "card" }, empty("tokens", t.off, t.offHint))];
    }
    return [head, h("div", { class: "split" }, can("keys:write") && revokeCard(refresh), stateCard(count))];
}

function stateCard(count) {
    const records = linkButton(t.records, link("audit", { event: "token_revoked" }), { kind: "small", image: "audit" });
    return card({ title: t.state, hint: t.stateHint }, facts([[t.active, count]]), can("audit:read") && h("div", null, records));
}

function revokeCard(refresh) {
    /** The expiry of a token that was pasted, in seconds since 1970. */
    let expiry = null;
    const id = areaField("jti", { label: t.token, hint: t.tokenHint, mono: true, rows: 3, required: true, autocomplete: "off" });
    const validity = selectField("validity", { label: t.validity, hint: t.validityHint, options: t.validities, value: "" });
    const reason = textField("reason", { label: text.keys.reason, hint: text.keys.reasonHint, optional: true });
    const found = h("div", { role: "status" });

    /** Takes the id and the expiry from a token, which does not leave the browser. */
    id.input.addEventListener("input", () => {
        const claims = claimsOf(id.input.value);
        expiry = Number.isFinite(claims?.exp) ? claims.exp : null;
        validity.node.hidden = expiry !== null;
        replace(found);
        if (!claims) return;
        if (!claims.jti) {
            id.setError(t.noId);
            return;
        }
        id.input.value = claims.jti;
        const rows = [claims.sub && [t.subject, claims.sub], expiry && [t.expires, shortTime(expiry * 1000)]];
        replace(found, note("", h("div", { class: "stack" }, h("p", null, t.read), facts(rows))));
    });

    const submit = async () => {
        const secs = Number(validity.input.value);
        const until = expiry ? (expiry + LEEWAY_SECS) * 1000 : secs && Date.now() + secs * 1000;
        const expires_at = until ? new Date(until).toISOString() : undefined;
        await post("/revocations", { jti: id.input.value.trim(), expires_at, reason: reason.value() });
        toast(t.done);
        view.node.reset();
        expiry = null;
        validity.node.hidden = false;
        replace(found);
        await refresh();
    };
    const view = form({ fields: [id, validity, reason], layout: [id.node, found, validity.node, reason.node], label: t.revoke, kind: "danger primary", submit });
    return card({ title: t.revokeTitle, hint: t.revokeHint }, view.node);
}
