// The pages by name.

import * as account from "./pages/account.js";
import * as audit from "./pages/audit.js";
import * as bans from "./pages/bans.js";
import * as budgets from "./pages/budgets.js";
import * as key from "./pages/key.js";
import * as keys from "./pages/keys.js";
import * as models from "./pages/models.js";
import * as overview from "./pages/overview.js";
import * as playground from "./pages/playground.js";
import * as settings from "./pages/settings.js";
import * as tokens from "./pages/tokens.js";
import * as users from "./pages/users.js";
import { link } from "./router.js";
import { can } from "./session.js";
import { text } from "./strings.js";
import { empty, linkButton, pageHead } from "./widgets.js";
import { h } from "./dom.js";

/** The navigation; entries without the permission are hidden. */
export const sections = [
    {
        pages: [
            { name: "overview", image: "overview", permission: "usage:read" },
            { name: "playground", image: "playground" },
        ],
    },
    {
        label: "access",
        pages: [
            { name: "keys", image: "keys", permission: "keys:read" },
            { name: "budgets", image: "budgets", permission: "budgets:read" },
            { name: "bans", image: "bans", permission: "bans:read" },
            { name: "tokens", image: "tokens", permission: "keys:read" },
            { name: "audit", image: "audit", permission: "audit:read" },
        ],
    },
    {
        label: "server",
        pages: [
            { name: "models", image: "models", permission: "models:read" },
            { name: "settings", image: "settings", permission: "config:read" },
            { name: "users", image: "users", permission: "users:read" },
        ],
    },
];

const permissions = new Map(sections.flatMap(({ pages }) => pages.map(({ name, permission }) => [name, permission])));
const pages = { overview, playground, budgets, bans, tokens, audit, models, settings, users, account };

/** The function that renders the page of a route. */
export function pageOf({ segments }) {
    const [name = "overview", item] = segments;
    const permission = permissions.get(name);
    if (permission && !can(permission)) return forbidden;
    if (name === "keys") return item === undefined ? keys.render : key.render;
    return Object.hasOwn(pages, name) ? pages[name].render : notFound;
}

function notFound() {
    const home = linkButton(text.notFound.home, link(can("usage:read") ? "overview" : "account"));
    return [pageHead({ title: text.notFound.title }), h("div", { class: "card" }, empty("search", text.notFound.hint, null, home))];
}

function forbidden() {
    return [pageHead({ title: text.forbidden.title }), h("div", { class: "card" }, empty("alert", text.forbidden.hint, text.forbidden.help))];
}
