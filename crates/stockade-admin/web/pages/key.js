// One key: its facts, its usage, and what can be done with it.

import { call, get, path, query } from "../api.js";
import { lines } from "../chart.js";
import { h, replace } from "../dom.js";
import { clockTime, count, day, shortCount, shortTime } from "../format.js";
import { editKey, revokeKey, rotateKey } from "../key-dialogs.js";
import { keyBadge } from "../key-state.js";
import { link } from "../router.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { banClient } from "../ban-dialogs.js";
import { absent, button, card, choices, empty, facts, linkButton, moment, note, pageHead, skeleton, tags } from "../widgets.js";
import { errorText } from "../errors.js";

const t = text.keys;
const HOUR_MS = 3_600_000;
const PERIODS = { day: { by: "hour", step: HOUR_MS, number: 24 }, week: { by: "day", step: 24 * HOUR_MS, number: 7 }, month: { by: "day", step: 24 * HOUR_MS, number: 30 } };

export async function render({ segments, signal, reopen }) {
    const { data: key, etag } = await call("GET", path`/keys/${segments[1]}`, { signal });
    const head = pageHead({ title: key.name || key.id, hint: key.name ? key.id : null, back: { href: link("keys"), label: t.title }, actions: actions(key, etag, reopen) });
    const state = key.state === "revoked" ? note("bad", t.isRevoked(shortTime(key.revoked_at))) : key.state === "expired" ? note("warn", t.isExpired(shortTime(key.expires_at))) : null;
    const rotating = key.rotating_until && note("", t.isRotating(shortTime(key.rotating_until)));
    return [head, state, rotating, can("usage:read") && usageCard(key, signal), h("div", { class: "split" }, factsCard(key), limitsCard(key))];
}

function actions(key, etag, reopen) {
    const write = can("keys:write");
    const active = key.state === "active";
    return [
        can("audit:read") && linkButton(t.audit, link("audit", { user: key.id }), { kind: "plain", image: "audit" }),
        can("bans:write") && active && button(t.ban, { kind: "plain", image: "bans", onclick: () => banClient(`key:${key.id}`, reopen) }),
        write && active && button(text.edit, { onclick: () => editKey(key, etag, reopen) }),
        write && active && !key.certificate && button(t.rotate, { image: "reload", onclick: () => rotateKey(key, reopen) }),
        write && key.state !== "revoked" && button(t.revoke, { kind: "danger", onclick: () => revokeKey(key, reopen) }),
    ].filter(Boolean);
}

function factsCard(key) {
    return card(
        { title: t.facts },
        facts([
            [t.state, keyBadge(key)],
            key.certificate && [t.certificate, key.certificate],
            [t.owner, key.owner ?? absent()],
            [t.team, key.team ?? absent()],
            [t.scopes, tags(key.scopes)],
            [t.created, moment(key.created_at)],
            [t.lastUsed, moment(key.last_used_at, t.unused)],
            [t.expires, moment(key.expires_at, t.never)],
        ]),
    );
}

function limitsCard(key) {
    const quotas = Object.entries(key.quotas ?? {}).filter(([, value]) => value !== null);
    return card(
        { title: t.limits },
        facts([
            [t.models, key.models ? tags(key.models) : absent(t.allModels)],
            [t.networks, key.networks.length ? tags(key.networks) : absent(t.allNetworks)],
            ...quotas.map(([name, value]) => [t.quotas[name] ?? name, count(value)]),
            quotas.length === 0 && [t.quotasTitle, absent(t.defaultQuotas)],
        ]),
    );
}

function usageCard(key, signal) {
    const area = h("div", null, skeleton(3));
    const show = async (name) => {
        const period = PERIODS[name];
        try {
            const from = new Date(Math.floor(Date.now() / period.step) * period.step - (period.number - 1) * period.step);
            const route = path`/keys/${key.id}/usage` + query({ from: from.toISOString(), by: period.by });
            const page = await get(route, signal);
            replace(area, usage(page.data, from, period));
        } catch (error) {
            if (error.name !== "AbortError") replace(area, note("bad", errorText(error)));
        }
    };
    show("week");
    const periods = Object.keys(PERIODS).map((name) => [name, t.periods[name]]);
    return card({ title: t.usage, actions: [choices(t.period, periods, "week", show)] }, area);
}

function usage(rows, from, { step, number, by }) {
    const total = (name) => rows.reduce((sum, row) => sum + (row[name] ?? 0), 0);
    if (total("requests") === 0) return empty("overview", t.noUsage, t.noUsageHint);
    const at = Array.from({ length: number }, (_, index) => new Date(from.getTime() + index * step));
    const values = (read) => {
        const list = Array(number).fill(0);
        for (const row of rows) {
            const index = Math.floor((new Date(row.time) - from) / step);
            if (index >= 0 && index < number) list[index] += read(row);
        }
        return list;
    };
    const chart = lines({
        label: t.usage,
        series: [
            { label: t.requests, tone: "accent" },
            { label: t.refused, tone: "warn" },
        ],
        time: by === "hour" ? (time) => clockTime(time).slice(0, 5) : day,
    });
    chart.show(at, [values((row) => row.requests), values((row) => row.refused ?? 0)]);
    const cost = rows.some((row) => row.cost !== null && row.cost !== undefined);
    const totals = [
        [t.requests, shortCount(total("requests"))],
        [t.refused, shortCount(total("refused"))],
        [t.promptTokens, shortCount(total("prompt_tokens"))],
        [t.completionTokens, shortCount(total("completion_tokens"))],
        cost && [t.cost, total("cost").toFixed(4)],
    ].filter(Boolean);
    const tiles = totals.map(([name, value]) => h("div", null, h("dt", { class: "small muted" }, name), h("dd", null, h("strong", null, value))));
    return h("div", { class: "stack" }, h("dl", { class: "totals" }, tiles), chart.node);
}
