// The state of a key as a badge.

import { text } from "./strings.js";
import { badge } from "./widgets.js";

const TONES = { active: "ok", expired: "warn", revoked: "bad" };
const SOON_MS = 7 * 86_400_000;

export function keyBadge(key) {
    if (key.state === "active" && key.rotating_until) return badge(text.keys.rotating, "info");
    if (key.state === "active" && key.expires_at && new Date(key.expires_at) - Date.now() < SOON_MS) {
        return badge(text.keys.expiresSoon, "warn");
    }
    return badge(text.keys.states[key.state] ?? key.state, TONES[key.state] ?? "");
}
