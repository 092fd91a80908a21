// Models: their state, queue and upstreams; loading and unloading.

import { get, path, post } from "../api.js";
import { confirm } from "../dialog.js";
import { h, replace } from "../dom.js";
import { breakerBadge, modelBadge } from "../model-state.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { toast, toastError } from "../toast.js";
import { busy, button, empty, facts, note, pageHead } from "../widgets.js";

const t = text.models;
const REFRESH_MS = 2000;

export async function render({ signal }) {
    const area = h("div", { class: "models" });
    let shown = "";
    const refresh = async () => {
        const { data } = await get("/models", signal);
        const present = JSON.stringify(data);
        // An unchanged list keeps its elements, and so the focus.
        if (present === shown) return;
        shown = present;
        replace(area, data.length ? data.map((model) => modelCard(model, refresh)) : h("div", { class: "card" }, empty("models", t.none, t.noneHint)));
        area.classList.toggle("models", data.length > 0);
    };
    await refresh();
    const timer = setInterval(() => refresh().catch(() => {}), REFRESH_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    return [pageHead({ title: t.title, hint: t.hint }), area];
}

function modelCard(model, refresh) {
    const rows = [
        [t.kind, t.kinds[model.kind] ?? model.kind],
        model.device && [t.device, model.device],
        [t.running, String(model.running)],
        [t.waiting, String(model.waiting)],
    ];
    const head = h("div", { class: "card-head" }, h("h2", { class: "break" }, model.name), modelBadge(model));
    return h("section", { class: "card padded" }, head, progress(model), facts(rows), upstreams(model), actions(model, refresh));
}

function progress(model) {
    if (model.state === "failed" && model.detail) return note("bad", model.detail);
    if (model.state !== "loading") return null;
    const value = model.progress ?? null;
    const bar = h("progress", { max: 1, value, "aria-label": t.loading(model.name) });
    return h("div", { class: "stack" }, h("p", { class: "small muted" }, model.detail ?? t.states.loading), bar);
}

function upstreams(model) {
    if (!model.upstreams?.length) return null;
    const rows = model.upstreams.map((upstream) =>
        h("div", { class: "model-line" }, h("code", null, upstream.url), h("span", { class: "row" }, h("span", { class: "small muted" }, text.overview.queue(upstream.running, upstream.waiting)), breakerBadge(upstream.breaker))),
    );
    return h("div", null, h("h3", { class: "hidden-text" }, t.upstreams), rows);
}

function actions(model, refresh) {
    if (!model.can_unload || !can("models:write")) return null;
    if (model.state === "ready") {
        const unload = () =>
            confirm({
                title: t.unloadTitle(model.name),
                message: t.unloadMessage,
                label: t.unload,
                action: async () => {
                    await post(path`/models/${model.name}/unload`);
                    toast(t.unloading(model.name));
                    await refresh();
                },
            });
        return h("div", { class: "form-actions start" }, button(t.unload, { kind: "small danger", onclick: unload }));
    }
    if (model.state === "loading") return null;
    const load = button(t.load, { kind: "small primary" });
    load.addEventListener("click", () =>
        busy(load, async () => {
            await post(path`/models/${model.name}/load`);
            await refresh();
        }).catch(toastError),
    );
    return h("div", { class: "form-actions start" }, load);
}
