// The frame of the pages: navigation, the user, the theme; and the page inside it.

import { themeSwitch } from "./appearance.js";
import { h, replace } from "./dom.js";
import { errorPage } from "./errors.js";
import { icon } from "./icons.js";
import { pageOf, sections } from "./pages.js";
import { link } from "./router.js";
import { can, currentUser, serverStatus } from "./session.js";
import { text } from "./strings.js";
import { toastError } from "./toast.js";
import { busy, button, iconButton, pageHead, skeleton } from "./widgets.js";

let main = null;
let links = new Map();
let closeMenu = () => {};
/** Ends what the present page does: requests, events, timers. */
let page = new AbortController();

function navigation() {
    links = new Map();
    const entry = ({ name, image, permission }) => {
        if (permission && !can(permission)) return null;
        const node = h("a", { href: link(name) }, icon(image), text.nav[name]);
        links.set(name, node);
        return node;
    };
    const groups = sections.map(({ label, pages }) => {
        const entries = pages.map(entry).filter(Boolean);
        return entries.length > 0 && [label && h("p", { class: "nav-group" }, text.nav[label]), entries];
    });
    return h("nav", { class: "nav", "aria-label": text.nav.label }, groups);
}

function user() {
    const { username, role } = currentUser();
    const node = h("a", { class: "who", href: link("account") }, h("span", { class: "avatar", "aria-hidden": "true" }, username.slice(0, 2)), h("span", null, h("b", null, username), h("small", null, role)));
    links.set("account", node);
    return node;
}

function brand() {
    const image = h("img", { src: "icon.svg", alt: "", width: 28, height: 28 });
    return h("a", { class: "brand", href: link("overview") }, image, text.product);
}

/** Shows the frame. */
export function showShell(root, { onLogout }) {
    const leave = button(text.nav.logout, { kind: "plain small", image: "logout" });
    leave.addEventListener("click", () => busy(leave, onLogout).catch(toastError));
    const tools = h("div", { class: "side-tools" }, themeSwitch(), leave);
    const version = h("p", { class: "small muted" }, text.nav.version(serverStatus().version));
    const side = h("aside", { class: "side", id: "side", "aria-label": text.nav.menu }, brand(), navigation(), h("div", { class: "side-end" }, user(), tools, version));
    const menu = iconButton(text.nav.open, "menu", { kind: "plain", "aria-expanded": "false", "aria-controls": "side" });
    const veil = h("button", { type: "button", class: "veil", tabindex: -1, "aria-label": text.nav.close, hidden: true });
    const setOpen = (open) => {
        side.classList.toggle("open", open);
        veil.hidden = !open;
        menu.setAttribute("aria-expanded", String(open));
    };
    closeMenu = () => setOpen(false);
    menu.addEventListener("click", () => {
        setOpen(true);
        side.querySelector("a").focus();
    });
    veil.addEventListener("click", closeMenu);
    side.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || veil.hidden) return;
        closeMenu();
        menu.focus();
    });

    main = h("main", { class: "main", id: "main", tabindex: -1 });
    const skip = h("a", { class: "skip", href: "#main", onclick: skipToMain }, text.nav.skip);
    const top = h("header", { class: "top" }, h("div", { class: "row" }, menu, brand()));
    replace(root, skip, h("div", { class: "shell" }, top, side, veil, main));
}

function skipToMain(event) {
    event.preventDefault();
    main.focus();
}

/** Opens the page of a route; `null` closes the present one. */
export async function openPage(route) {
    page.abort();
    page = new AbortController();
    if (route === null) return;
    const { signal } = page;
    closeMenu();
    const [name = "overview"] = route.segments;
    for (const [known, node] of links) {
        if (known === name) node.setAttribute("aria-current", "page");
        else node.removeAttribute("aria-current");
    }
    const column = h("div", { class: "column" }, h("div", { class: "card" }, skeleton(6)));
    replace(main, column);
    scrollTo(0, 0);
    try {
        const content = await pageOf(route)({ ...route, signal, reopen: () => openPage(route) });
        if (signal.aborted) return;
        replace(column, content);
        announce(column);
    } catch (error) {
        if (signal.aborted || error.name === "AbortError") return;
        const retry = button(text.retry, { image: "reload", onclick: () => openPage(route) });
        replace(column, pageHead({ title: text.errors.title }), h("div", { class: "card" }, errorPage(error, retry)));
        announce(column);
    }
}

/** Moves the focus to the heading, so that a screen reader starts there. */
function announce(column) {
    const heading = column.querySelector("h1");
    document.title = heading ? text.title(heading.textContent) : text.product;
    heading?.focus({ preventScroll: true });
}
