// Calls the API.

const BASE = "/admin/v1";
/** A stream that is interrupted for longer counts as lost. */
const LOST_MS = 6000;

/** The token that requests other than GET need; set when a session begins. */
let csrfToken = null;

export function setCsrfToken(token) {
    csrfToken = token;
}

/** The refusal of a request, or a failure of the network (`status` 0). */
export class ApiError extends Error {
    constructor(status, { message, code, param }, retryAfter = null) {
        super(message);
        this.status = status;
        this.code = code;
        /** The field that the error is about. */
        this.param = param ?? null;
        /** Seconds to wait before another attempt. */
        this.retryAfter = retryAfter;
    }
}

async function errorOf(response) {
    const retryAfter = Number.parseInt(response.headers.get("retry-after") ?? "", 10) || null;
    let error = null;
    try {
        error = (await response.json()).error;
    } catch {
        // A proxy in front of the server may answer in another format.
    }
    error ??= { message: `HTTP ${response.status}`, code: "HTTP_ERROR" };
    return new ApiError(response.status, error, retryAfter);
}

/** Called when the session has ended. */
let onSignedOut = () => {};

export function whenSignedOut(listener) {
    onSignedOut = listener;
}

/** Path segments from values, encoded. */
export function path(strings, ...values) {
    return String.raw({ raw: strings }, ...values.map((value) => encodeURIComponent(value)));
}

/** A query string; absent and empty values are left out. */
export function query(values) {
    const entries = Object.entries(values);
    const present = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
    const text = new URLSearchParams(present).toString();
    return text ? `?${text}` : "";
}

/** Calls one route and returns `{data, etag, headers}`; `data` is null without a body. */
export async function call(method, route, { body, etag, signal, headers = {} } = {}) {
    const fields = { accept: "application/json", ...headers };
    if (body !== undefined) fields["content-type"] = "application/json";
    if (etag) fields["if-match"] = etag;
    if (method !== "GET" && csrfToken) fields["x-csrf-token"] = csrfToken;
    const options = { method, headers: fields, signal, credentials: "same-origin", redirect: "error" };
    if (body !== undefined) options.body = JSON.stringify(body);
    let response;
    try {
        response = await fetch(BASE + route, options);
    } catch (cause) {
        if (cause.name === "AbortError") throw cause;
        throw new ApiError(0, { code: "UNREACHABLE", message: "" });
    }
    if (!response.ok) {
        const error = await errorOf(response);
        const isLogin = route === "/session" || route === "/setup";
        if (response.status === 401 && !isLogin) onSignedOut();
        throw error;
    }
    const text = await response.text();
    return {
        data: text ? JSON.parse(text) : null,
        etag: response.headers.get("etag"),
        headers: response.headers,
    };
}

export const get = async (route, signal) => (await call("GET", route, { signal })).data;
export const post = async (route, body) => (await call("POST", route, { body })).data;
export const put = async (route, body) => (await call("PUT", route, { body })).data;
export const remove = async (route, body) => (await call("DELETE", route, { body })).data;

/** Follows server-sent events of one kind until the signal aborts. */
export function follow(route, event, { onData, onState, signal }) {
    const source = new EventSource(BASE + route);
    // The server ends each stream after a minute, and the browser opens it again.
    let timer = 0;
    source.addEventListener("open", () => {
        clearTimeout(timer);
        onState(true);
    });
    source.addEventListener("error", () => {
        clearTimeout(timer);
        timer = setTimeout(() => onState(false), LOST_MS);
    });
    source.addEventListener(event, (message) => onData(JSON.parse(message.data)));
    signal.addEventListener("abort", () => {
        clearTimeout(timer);
        source.close();
    });
}

/** The address of a file that the browser downloads. */
export function fileLink(route) {
    return BASE + route;
}
