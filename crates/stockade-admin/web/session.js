// The user of this browser, and what the server reports about itself.

import { get, setCsrfToken } from "./api.js";

let user = null;
let status = { setup_required: false, version: "", oidc: [], gateway_url: null };

/** Reads what is public: whether a first user exists, the version, identity providers, the URL of the gateway. */
export async function loadStatus() {
    status = await get("/status");
    return status;
}

export const serverStatus = () => status;
export const currentUser = () => user;

/** Begins a session from the response to a login, or to `GET /session`. */
export function begin(session) {
    user = session.user;
    setCsrfToken(session.csrf_token);
    status = { ...status, setup_required: false };
}

export function end() {
    user = null;
    setCsrfToken(null);
}

/** Whether the user may do this. It only hides what the server would refuse. */
export function can(permission) {
    return user?.permissions.includes(permission) ?? false;
}
