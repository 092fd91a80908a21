// The names of events for readers.

import { text } from "./strings.js";

/** `key_created` as “Key created”; names without a text of their own are written like it. */
export function eventName(event) {
    const words = event.replaceAll("_", " ");
    return text.events[event] ?? words[0].toUpperCase() + words.slice(1);
}
