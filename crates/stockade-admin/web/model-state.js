// The state of a model as a badge.

import { text } from "./strings.js";
import { badge } from "./widgets.js";

const TONES = { ready: "ok", loading: "info", failed: "bad", unloaded: "" };

export function modelBadge({ state }) {
    return badge(text.models.states[state] ?? state, TONES[state] ?? "");
}

const BREAKERS = { closed: "ok", open: "bad", half_open: "warn" };

export function breakerBadge(breaker) {
    return badge(text.models.breakers[breaker] ?? breaker, BREAKERS[breaker] ?? "");
}
