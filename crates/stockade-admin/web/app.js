// Starts the application: setup, login, or the page of the address.

import { call, get, whenSignedOut } from "./api.js";
import { h, replace } from "./dom.js";
import { errorPage } from "./errors.js";
import { showLogin } from "./pages/login.js";
import { showSetup } from "./pages/setup.js";
import { start as startRouter } from "./router.js";
import { begin, currentUser, end, loadStatus } from "./session.js";
import { openPage, showShell } from "./shell.js";
import { text } from "./strings.js";
import { mount as mountToasts } from "./toast.js";
import { button, skeleton } from "./widgets.js";

const root = document.querySelector("#app");
let routing = false;

function enter(session) {
    begin(session);
    if (location.hash.startsWith("#setup=")) history.replaceState(null, "", "#/overview");
    showShell(root, { onLogout: logout });
    if (!routing) {
        routing = true;
        startRouter((route) => currentUser() && openPage(route));
    } else {
        dispatchEvent(new HashChangeEvent("hashchange"));
    }
}

async function logout() {
    await call("DELETE", "/session");
    leave(text.login.loggedOut);
}

/** Removes everything of the session from the document. */
function leave(message) {
    end();
    document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
    openPage(null);
    showLogin(root, { message, onLogin: enter });
}

async function begins() {
    replace(root, h("div", { class: "door" }, h("div", { class: "card" }, skeleton(3))));
    try {
        const status = await loadStatus();
        if (status.setup_required) {
            showSetup(root, { token: setupToken(), onDone: enter });
            return;
        }
        enter(await get("/session"));
    } catch (error) {
        if (error.status === 401) showLogin(root, { onLogin: enter });
        else replace(root, h("main", { class: "door" }, h("h1", { class: "hidden-text" }, text.product), h("div", { class: "card" }, errorPage(error, button(text.retry, { onclick: begins })))));
    }
}

/** The token of the link that the program prints; it leaves the address, and so the history. */
function setupToken() {
    if (!location.hash.startsWith("#setup=")) return "";
    const token = decodeURIComponent(location.hash.slice("#setup=".length));
    history.replaceState(null, "", location.pathname);
    return token;
}

whenSignedOut(() => currentUser() && leave(text.login.ended));
mountToasts(document.body);
begins();
