// Clicks in an answer, such as `Click(115, 66)`, drawn on the picture that they are about.

import { h, s } from "../dom.js";
import { text } from "../strings.js";

/** Marks on pictures with shorter sides have the size of those on a picture of this side. */
const SMALL = 360;

/** The positions of all clicks in an answer. */
export function clicksIn(answer) {
    const found = answer.matchAll(/\b\w*Click\(\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*\)/g);
    return [...found].map(([, x, y]) => ({ x: Number(x), y: Number(y) }));
}

/**
 * The size that coordinates refer to: that of the picture, unless the server says that they are
 * those of a smaller picture that the model received.
 */
export function coordinateSize(picture, headers) {
    const seen = /^(\d+)x(\d+)/.exec(headers.get("x-stockade-image-size") ?? "");
    if (!seen || headers.get("x-stockade-coordinates") === "original") return { width: picture.width, height: picture.height };
    return { width: Number(seen[1]), height: Number(seen[2]) };
}

/** The picture with rings at the clicks. */
export function pictureWithClicks(picture, clicks, size) {
    const image = h("img", { src: picture.url, alt: text.playground.pictureAlt(picture.name), width: picture.width, height: picture.height });
    const node = h("div", { class: "turn-picture" }, image);
    if (clicks.length === 0) return node;
    const radius = Math.max(size.width, size.height, SMALL) / 45;
    const marks = clicks.map(({ x, y }) => [
        s("circle", { class: "click-halo", cx: x, cy: y, r: radius }),
        s("circle", { class: "click-ring", cx: x, cy: y, r: radius }),
        s("circle", { class: "click-dot", cx: x, cy: y, r: radius / 4 }),
    ]);
    const label = text.playground.clicksAt(clicks.map(({ x, y }) => `${x}, ${y}`).join("; "));
    node.append(s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, marks));
    return node;
}
