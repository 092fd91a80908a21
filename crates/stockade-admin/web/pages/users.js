// Users and roles.

import { get, path, post, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { roleDialog, removeRole } from "../role-dialogs.js";
import { can, currentUser } from "../session.js";
import { text } from "../strings.js";
import { list, table } from "../table.js";
import { toast } from "../toast.js";
import { createUser, editUser } from "../user-dialogs.js";
import { badge, button, card, empty, moment, pageHead, tags } from "../widgets.js";

const t = text.users;

export async function render({ signal, reopen }) {
    const write = can("users:write");
    const answer = await get("/roles", signal);
    const roles = answer.data ?? answer;
    const view = list({
        label: t.title,
        columns: columns(roles, write, () => view.reload()),
        load: (cursor) => get(`/users?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, signal),
        none: () => empty("users", t.none, null),
    });
    const actions = write ? [button(t.create, { kind: "primary", image: "plus", onclick: () => createUser(roles, view.reload) })] : [];
    return [pageHead({ title: t.title, hint: t.hint, actions }), h("div", { class: "card" }, view.node), rolesCard(roles, write, reopen)];
}

function columns(roles, write, reload) {
    return [
        { label: t.username, cell: (user) => h("span", { class: "cell-main" }, user.username, user.id === currentUser().id && h("span", { class: "muted" }, ` ${t.you}`)) },
        { label: t.role, cell: (user) => h("span", { class: "break" }, user.role) },
        { label: t.state, cell: (user) => (user.disabled ? badge(t.disabled, "bad") : badge(t.enabled, "ok")) },
        { label: t.totp, cell: (user) => (user.has_totp ? badge(t.on, "ok") : badge(t.off)) },
        { label: t.lastLogin, cell: (user) => moment(user.last_login_at, t.neverLoggedIn) },
        write && { label: text.actions, kind: "actions", cell: (user) => userActions(user, roles, reload) },
    ].filter(Boolean);
}

function userActions(user, roles, reload) {
    if (user.id === currentUser().id) return h("a", { class: "button small", href: link("account") }, t.ownAccount);
    return h(
        "span",
        { class: "row tight" },
        button(text.edit, { kind: "small", onclick: () => editUser(user, roles, reload), "aria-label": t.editTitle(user.username) }),
        button(t.logout, { kind: "small", onclick: () => logout(user), "aria-label": t.logoutTitle(user.username) }),
        button(text.remove, { kind: "small danger", onclick: () => removeUser(user, reload), "aria-label": t.removeTitle(user.username) }),
    );
}

function logout(user) {
    confirm({
        title: t.logoutTitle(user.username),
        message: t.logoutMessage,
        label: t.logout,
        danger: false,
        action: async () => {
            await post(path`/users/${user.id}/logout`);
            toast(t.loggedOut(user.username));
        },
    });
}

function removeUser(user, reload) {
    confirm({
        title: t.removeTitle(user.username),
        message: t.removeMessage,
        label: text.remove,
        typed: user.username,
        action: async () => {
            await remove(path`/users/${user.id}`);
            toast(t.removed(user.username));
            reload();
        },
    });
}

function rolesCard(roles, write, reopen) {
    const rows = [
        { label: t.role, cell: (role) => [h("span", { class: "cell-main" }, role.name), role.built_in && h("span", { class: "cell-sub" }, t.builtIn)] },
        { label: t.permissions, kind: "block", cell: (role) => tags(role.permissions) },
        { label: t.members, kind: "number", cell: (role) => String(role.users ?? 0) },
        write && {
            label: text.actions,
            kind: "actions",
            cell: (role) =>
                !role.built_in &&
                h(
                    "span",
                    { class: "row tight" },
                    button(text.edit, { kind: "small", onclick: () => roleDialog(role, reopen), "aria-label": t.editTitle(role.name) }),
                    button(text.remove, { kind: "small danger", onclick: () => removeRole(role, reopen), "aria-label": t.removeTitle(role.name) }),
                ),
        },
    ].filter(Boolean);
    const actions = write ? [button(t.createRole, { image: "plus", onclick: () => roleDialog(null, reopen) })] : [];
    return card({ title: t.roles, hint: t.rolesHint, actions }, table(t.roles, rows, roles).node);
}
