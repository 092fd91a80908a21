// Errors as sentences.

import { ApiError } from "./api.js";
import { empty } from "./widgets.js";
import { text } from "./strings.js";

/** A sentence about an error, with what to do. */
export function errorText(error) {
    if (!(error instanceof ApiError)) return text.errors.page(error.message);
    if (error.status === 0) return text.errors.unreachable;
    const known = text.errors.byCode[error.code];
    const message = known ?? sentence(error.message);
    return error.retryAfter ? `${message} ${text.errors.retryAfter(error.retryAfter)}` : message;
}

/** The messages of the API are lowercase without a full stop. */
export function sentence(message) {
    if (!message) return text.errors.unknown;
    const first = message[0].toUpperCase() + message.slice(1);
    return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** A page that could not be loaded. */
export function errorPage(error, retry) {
    return empty("alert", text.errors.failed, errorText(error), retry);
}
