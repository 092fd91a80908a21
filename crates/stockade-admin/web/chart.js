// Charts: SVG that is stretched to its box, with the labels as text around it.

import { h, replace, s } from "./dom.js";
import { clockTime, count, shortCount } from "./format.js";
import { text } from "./strings.js";

const WIDTH = 1000;
const HEIGHT = 100;

/** The end of the axis: the next of 1, 2, 5, 10, 20, 50, … */
export function axisEnd(max) {
    if (max <= 0) return 1;
    const power = 10 ** Math.floor(Math.log10(max));
    const step = [1, 2, 5, 10].find((one) => one * power >= max);
    return step * power;
}

function points(values, end) {
    const last = Math.max(values.length - 1, 1);
    return values.map((value, at) => [(at / last) * WIDTH, HEIGHT - (value / end) * HEIGHT]);
}

const linePath = (list) => list.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(2)}`).join("");
const stretched = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" };

/**
 * A chart of lines over time. `series` are `{label, tone}`; `show` receives the times and one
 * list of values for each. `format` makes text of a value, `time` of a time.
 */
export function lines({ label, series, format = count, time = clockTime }) {
    const area = h("div", { class: "chart-area" });
    const times = h("div", { class: "chart-times", "aria-hidden": "true" });
    const legend = series.map((one) => h("span", null, h("i", { class: `key-color tone-${one.tone}` }), one.label));
    const summary = h("p", { class: "hidden-text" });
    const node = h("figure", { class: "chart", "aria-label": label }, area, times, series.length > 1 && h("div", { class: "legend" }, legend), summary);
    const tip = h("div", { class: "chart-tip", hidden: true });
    let shown = { at: [], values: [] };
    let cursor = null;

    function show(at, values) {
        shown = { at, values };
        const end = axisEnd(Math.max(0, ...values.flat()));
        const paths = series.map((one, index) => drawn(points(values[index], end), one.tone, index === 0));
        const grid = [0, 50, 100].map((y) => s("path", { class: "chart-grid", d: `M0 ${y}H${WIDTH}` }));
        cursor = s("path", { class: "chart-cursor", d: "" });
        // The first series is the most important one, and is drawn above the others.
        replace(area, s("svg", stretched, grid, paths.reverse(), cursor), ticks(end), tip);
        replace(times, at.length > 1 && [h("span", null, time(at[0])), h("span", null, time(at.at(-1)))]);
        const newest = series.map((one, index) => `${one.label} ${format(values[index].at(-1) ?? 0)}`);
        summary.textContent = text.chartSummary(label, newest.join(", "));
    }

    function drawn(list, tone, filled) {
        if (list.length < 2) return [];
        const path = linePath(list);
        const line = s("path", { class: `chart-line tone-${tone}`, d: path });
        return filled ? [s("path", { class: `chart-fill tone-${tone}`, d: `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` }), line] : [line];
    }

    function ticks(end) {
        return [[0, end], [50, end / 2], [100, 0]].map(([top, value]) => {
            const tick = h("span", { class: "chart-tick", "aria-hidden": "true" }, format === count ? shortCount(value) : format(value));
            tick.style.top = `${top}%`;
            return tick;
        });
    }

    area.addEventListener("pointermove", (event) => {
        const { at, values } = shown;
        if (at.length < 2) return;
        const box = area.getBoundingClientRect();
        const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
        const index = Math.round(part * (at.length - 1));
        const x = index / (at.length - 1);
        cursor.setAttribute("d", `M${(x * WIDTH).toFixed(1)} 0V${HEIGHT}`);
        const rows = series.map((one, which) =>
            h("span", null, h("i", { class: `key-color tone-${one.tone}` }), one.label, h("b", null, format(values[which][index]))),
        );
        replace(tip, h("b", null, time(at[index])), rows);
        tip.hidden = false;
        tip.style.left = x < 0.5 ? `calc(${x * 100}% + 0.75rem)` : "auto";
        tip.style.right = x < 0.5 ? "auto" : `calc(${(1 - x) * 100}% + 0.75rem)`;
    });
    area.addEventListener("pointerleave", () => {
        tip.hidden = true;
        cursor?.setAttribute("d", "");
    });
    return { node, show };
}

/** A small line without axes. */
export function spark(values, label) {
    const end = axisEnd(Math.max(0, ...values));
    const path = linePath(points(values, end));
    const fill = s("path", { class: "chart-fill tone-accent", d: `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` });
    return s("svg", { ...stretched, class: "spark", role: "img", "aria-hidden": null, "aria-label": label }, fill, s("path", { class: "chart-line tone-accent", d: path }));
}

/** Horizontal bars of `[label, value]`, the largest first. */
export function bars(entries, tone) {
    const sorted = [...entries].sort((a, b) => b[1] - a[1]);
    const largest = Math.max(1, ...sorted.map(([, value]) => value));
    const rows = sorted.map(([label, value]) => {
        const track = s("rect", { class: "bar-track", width: WIDTH, height: HEIGHT });
        const part = s("rect", { class: `tone-${tone}`, width: Math.max(4, (value / largest) * WIDTH), height: HEIGHT });
        return h("li", { class: "bar" }, h("span", { class: "break" }, label), h("b", null, count(value)), s("svg", stretched, track, part));
    });
    return h("ul", { class: "bars" }, rows);
}
