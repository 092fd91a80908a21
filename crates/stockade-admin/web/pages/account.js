// The own account: password, one-time codes, sessions and tokens.

import { get, path, post, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { form, textField } from "../form.js";
import { passwordFields, samePasswords } from "../password.js";
import { begin, currentUser } from "../session.js";
import { text } from "../strings.js";
import { list } from "../table.js";
import { toast } from "../toast.js";
import { createToken } from "../token-dialogs.js";
import { disableTotp, enableTotp } from "../totp-dialogs.js";
import { badge, button, card, empty, facts, moment, pageHead, tags } from "../widgets.js";

const t = text.account;

export async function render({ signal, reopen }) {
    const user = currentUser();
    const refresh = async () => {
        begin(await get("/session", signal));
        reopen();
    };
    return [
        pageHead({ title: t.title, hint: t.hint }),
        h("div", { class: "split" }, h("div", { class: "stack" }, profile(user), totpCard(user, refresh)), passwordCard(refresh)),
        sessionsCard(signal),
        tokensCard(signal),
    ];
}

function profile(user) {
    const rows = [
        [text.users.username, user.username],
        [text.users.role, user.role],
        [text.users.permissions, tags(user.permissions)],
    ];
    return card({ title: t.profile }, facts(rows));
}

function totpCard(user, refresh) {
    const state = user.has_totp ? badge(text.users.on, "ok") : badge(text.users.off);
    const action = user.has_totp
        ? button(t.totpDisable, { kind: "small danger", onclick: () => disableTotp(refresh) })
        : button(t.totpEnable, { kind: "small primary", onclick: () => enableTotp(refresh) });
    return card({ title: t.totp, hint: t.totpHint, actions: [state] }, h("div", { class: "form-actions start" }, action));
}

function passwordCard(refresh) {
    const current = textField("current", { label: t.currentPassword, type: "password", required: true, autocomplete: "current-password", read: (value) => value });
    const [next, again] = passwordFields(t.newPassword, "new");
    const view = form({
        fields: [current, next, again],
        label: t.changePassword,
        submit: async (values) => {
            if (!samePasswords(next, again)) return;
            await post("/password", { current: values.current, new: values.new });
            toast(t.passwordChanged);
            await refresh();
        },
    });
    return card({ title: t.password, hint: t.passwordHint }, view.node);
}

function sessionsCard(signal) {
    const columns = [
        { label: t.browser, cell: (one) => [h("span", { class: "cell-main break" }, browser(one.user_agent)), one.current && h("span", { class: "cell-sub" }, t.thisSession)] },
        { label: t.client, cell: (one) => (one.client ? h("span", { class: "mono nowrap" }, one.client) : null) },
        { label: t.lastUsed, cell: (one) => moment(one.last_used_at) },
        { label: t.expires, cell: (one) => moment(one.expires_at) },
        {
            label: text.actions,
            kind: "actions",
            cell: (one) =>
                !one.current &&
                button(t.endSession, {
                    kind: "small danger",
                    onclick: () =>
                        confirm({
                            title: t.endSessionTitle,
                            message: t.endSessionMessage,
                            label: t.endSession,
                            action: async () => {
                                await remove(path`/sessions/${one.id}`);
                                view.reload();
                            },
                        }),
                }),
        },
    ];
    const view = list({ label: t.sessions, columns, load: async () => asPage(await get("/sessions", signal)), none: () => empty("account", t.noSessions, null) });
    const others = button(t.endOthers, {
        kind: "small",
        onclick: () =>
            confirm({
                title: t.endOthers,
                message: t.endOthersMessage,
                label: t.endOthers,
                action: async () => {
                    await remove("/sessions");
                    toast(t.othersEnded);
                    view.reload();
                },
            }),
    });
    return card({ title: t.sessions, hint: t.sessionsHint, actions: [others] }, view.node);
}

function tokensCard(signal) {
    const columns = [
        { label: t.tokenName, cell: (token) => h("span", { class: "cell-main" }, token.name) },
        { label: text.users.permissions, kind: "block", cell: (token) => tags(token.permissions) },
        { label: t.expires, cell: (token) => moment(token.expires_at, text.keys.never) },
        { label: t.lastUsed, cell: (token) => moment(token.last_used_at, text.keys.unused) },
        { label: text.actions, kind: "actions", cell: (token) => button(t.deleteToken, { kind: "small danger", onclick: () => deleteToken(token), "aria-label": t.deleteTokenTitle(token.name) }) },
    ];
    const view = list({ label: t.tokens, columns, load: async () => asPage(await get("/tokens", signal)), none: () => empty("keys", t.noTokens, t.noTokensHint) });
    const deleteToken = (token) =>
        confirm({
            title: t.deleteTokenTitle(token.name),
            message: t.deleteTokenMessage,
            label: t.deleteToken,
            action: async () => {
                await remove(path`/tokens/${token.id}`);
                view.reload();
            },
        });
    const create = button(t.createToken, { kind: "small", image: "plus", onclick: () => createToken(view.reload) });
    return card({ title: t.tokens, hint: t.tokensHint, actions: [create] }, view.node);
}

const asPage = (answer) => (Array.isArray(answer) ? { data: answer, next_cursor: null } : answer);

/** A short name of a user agent: the browser and the system, if they are known. */
function browser(agent) {
    if (!agent) return t.unknownBrowser;
    const names = { Edg: "Edge", OPR: "Opera", Firefox: "Firefox", Chrome: "Chrome", Safari: "Safari" };
    // Most browsers also name others: the first of this order is the right one.
    const name = Object.keys(names).find((one) => agent.includes(`${one}/`));
    const system = /Windows|Mac OS X|Android|iPhone|iPad|Linux/.exec(agent)?.[0];
    return name && system ? t.browserOn(names[name], system) : agent;
}
