// The fields of a key, for its creation and its changes.

import { h } from "./dom.js";
import { areaField, numberField, selectField, textField, words } from "./form.js";
import { text } from "./strings.js";

const t = text.keys;
const QUOTAS = ["requests_per_minute", "requests_per_hour", "requests_per_day", "tokens_per_minute", "concurrency", "weight"];
const DAY_MS = 86_400_000;

/** The time as the value of a `datetime-local` input. */
function localTime(time) {
    const date = new Date(time);
    return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The fields, with the values of a key that is changed. */
export function keyFields(key) {
    const id = textField("id", { label: t.id, hint: t.idHint, optional: true, mono: true, maxlength: 64 });
    const name = textField("name", { label: t.name, hint: t.nameHint, value: key?.name ?? "", optional: true });
    const owner = textField("owner", { label: t.owner, hint: t.ownerHint, value: key?.owner ?? "", optional: true });
    const team = textField("team", { label: t.team, value: key?.team ?? "", optional: true });
    const scopes = textField("scopes", { label: t.scopes, hint: t.scopesHint, value: key?.scopes.join(" ") ?? "chat:write", mono: true, read: words });
    const models = textField("models", { label: t.models, hint: t.modelsHint, value: key?.models?.join(" ") ?? "", mono: true, optional: true, read: (value) => (words(value).length ? words(value) : null) });
    const networks = areaField("networks", { label: t.networks, hint: t.networksHint, value: key?.networks.join("\n") ?? "", mono: true, optional: true, rows: 2, read: words });
    const certificate = textField("certificate", { label: t.certificate, hint: t.certificateHint, optional: true, mono: true });
    const expiry = expiryFields(key);
    const quotas = QUOTAS.map((quota) => numberField(`quotas.${quota}`, { label: t.quotas[quota], value: key?.quotas?.[quota] ?? "" }));

    const fields = [!key && id, name, owner, team, scopes, models, networks, !key && certificate, ...expiry.fields, ...quotas].filter(Boolean);
    const row = (...items) => h("div", { class: "form-row" }, items.filter(Boolean).map((item) => item.node));
    const more = h(
        "details",
        { class: "more", open: Boolean(key) },
        h("summary", null, t.more),
        h("div", { class: "form" }, row(team, !key && id), models.node, networks.node, !key && certificate.node, h("h3", null, t.quotasTitle), h("p", { class: "small muted" }, t.quotasHint), row(...quotas)),
    );
    const layout = [row(name, owner), scopes.node, row(...expiry.fields), more];

    const body = () => {
        const quota = Object.fromEntries(QUOTAS.map((one, at) => [one, quotas[at].value()]).filter(([, value]) => value !== undefined));
        const values = {
            name: name.value(),
            owner: owner.value(),
            team: team.value(),
            scopes: scopes.value(),
            models: models.value(),
            networks: networks.value(),
            quotas: quota,
            expires_at: expiry.value(),
        };
        if (!key) return { id: id.value(), certificate: certificate.value(), ...values };
        // A change sets what is empty to nothing.
        return { ...values, name: values.name ?? null, owner: values.owner ?? null, team: values.team ?? null };
    };
    return { fields, layout, body };
}

/** When the key expires: after a period, at a time, or never. */
function expiryFields(key) {
    const options = key ? t.expiries.filter(([value]) => value === "" || value === "at") : t.expiries;
    const at = textField("expires_at", { label: t.expiresAt, type: "datetime-local", value: key?.expires_at ? localTime(key.expires_at) : "" });
    const period = selectField("expires_in", { label: t.expires, options, value: key ? (key.expires_at ? "at" : "") : "90" });
    const show = () => (at.node.hidden = period.input.value !== "at");
    period.input.addEventListener("change", show);
    show();
    const value = () => {
        const chosen = period.input.value;
        if (chosen === "") return null;
        if (chosen !== "at") return new Date(Date.now() + Number(chosen) * DAY_MS).toISOString();
        // The field has no seconds: an unchanged time is sent as it was.
        if (key?.expires_at && at.input.value === localTime(key.expires_at)) return key.expires_at;
        return at.input.value ? new Date(at.input.value).toISOString() : null;
    };
    return { fields: [period, at], value };
}
