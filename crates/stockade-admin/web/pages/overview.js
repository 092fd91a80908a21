// The overview: live figures of the last five minutes.

import { follow, get } from "../api.js";
import { bars, lines } from "../chart.js";
import { h, replace } from "../dom.js";
import { count, duration, shortCount } from "../format.js";
import { modelBadge } from "../model-state.js";
import { link } from "../router.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { card, empty, linkButton, pageHead } from "../widgets.js";

const t = text.overview;
const sum = (items, name) => items.reduce((total, item) => total + (item[name] ?? 0), 0);

export async function render({ signal }) {
    const state = await get("/overview", signal);
    const live = h("span", { class: "live", role: "status" }, t.connecting);
    const head = pageHead({ title: t.title, hint: t.hint, actions: [live] });
    const tiles = h("dl", { class: "tiles" });
    const requests = lines({
        label: t.requests,
        series: [
            { label: t.accepted, tone: "accent" },
            { label: t.refused, tone: "warn" },
            { label: t.errors, tone: "bad" },
        ],
    });
    const tokens = lines({ label: t.tokens, series: [{ label: t.tokens, tone: "info" }] });
    const refusals = h("div");
    const models = h("div");

    // Sums and percentiles are not in the events.
    let refreshed = Date.now();
    const show = () => {
        const { per_second: seconds, window_secs: window } = state;
        replace(tiles, figures(state, seconds, window));
        const at = seconds.map((one) => one.t);
        const accepted = seconds.map((one) => Math.max(0, one.requests - one.refused - one.errors));
        requests.show(at, [accepted, seconds.map((one) => one.refused), seconds.map((one) => one.errors)]);
        tokens.show(at, [seconds.map((one) => one.tokens)]);
        replace(refusals, refusalList(state.refusals));
        replace(models, modelList(state.models));
    };
    show();

    follow("/live", "figures", {
        signal,
        onState: (on) => {
            live.textContent = on ? t.live : t.reconnecting;
            live.classList.toggle("on", on);
        },
        onData: async (data) => {
            const { models: present, in_flight: running, ...second } = data;
            state.per_second = [...state.per_second, second].slice(-state.window_secs);
            state.models = present;
            state.in_flight = running;
            show();
            if (Date.now() - refreshed > 5000) {
                refreshed = Date.now();
                Object.assign(state, await get("/overview", signal).catch(() => ({})));
            }
        },
    });

    return [
        head,
        tiles,
        h("div", { class: "split even" }, card({ title: t.requests, hint: t.perSecond }, requests.node), card({ title: t.tokens, hint: t.perSecond }, tokens.node)),
        h("div", { class: "split even" }, card({ title: t.refusals, hint: t.refusalsHint }, refusals), card({ title: t.models, actions: modelActions() }, models)),
    ];
}

function modelActions() {
    return can("models:read") ? [linkButton(t.allModels, link("models"), { kind: "small plain" })] : [];
}

function figures(state, seconds, window) {
    const recent = seconds.slice(-10);
    const rate = recent.length ? sum(recent, "requests") / recent.length : 0;
    const total = sum(seconds, "requests");
    const refused = sum(seconds, "refused");
    const errors = sum(seconds, "errors");
    const share = (part) => (total ? t.share(Math.round((part / total) * 100)) : t.share(0));
    const waiting = sum(state.models, "waiting");
    const running = state.in_flight;
    return [
        tile(t.rate, count(rate), t.perSecondUnit, t.inWindow(shortCount(total), Math.round(window / 60))),
        tile(t.refused, shortCount(refused), null, share(refused)),
        tile(t.errors, shortCount(errors), null, share(errors)),
        tile(t.latency, duration(state.latency_p50_ms), null, t.latencyMore(duration(state.latency_p95_ms), duration(state.latency_p99_ms))),
        tile(t.inProgress, count(running), null, t.waiting(waiting)),
        tile(t.access, count(state.keys), t.keysUnit(state.keys), t.bans(state.bans)),
    ];
}

function tile(name, value, unit, more) {
    return h("div", { class: "card tile" }, h("dt", null, name), h("dd", null, value, unit && h("small", null, unit)), h("dd", { class: "tile-more" }, more));
}

function refusalList(refusals) {
    const entries = Object.entries(refusals ?? {});
    if (entries.length === 0) return empty("check", t.noRefusals, t.noRefusalsHint);
    return bars(entries.map(([code, number]) => [text.codes[code] ?? code, number]), "warn");
}

function modelList(models) {
    if (models.length === 0) return empty("models", t.noModels, t.noModelsHint);
    return models.map((model) =>
        h("div", { class: "model-line" }, h("span", null, model.name), h("span", { class: "row" }, h("span", { class: "muted small" }, t.queue(model.running, model.waiting)), modelBadge(model))),
    );
}
