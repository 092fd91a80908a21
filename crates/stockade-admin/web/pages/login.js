// The login.

import { post } from "../api.js";
import { themeSwitch } from "../appearance.js";
import { h, replace } from "../dom.js";
import { form, textField } from "../form.js";
import { serverStatus } from "../session.js";
import { text } from "../strings.js";
import { linkButton, note } from "../widgets.js";

/** Shows the login; `message` is the reason. */
export function showLogin(root, { message, onLogin }) {
    const t = text.login;
    const username = textField("username", { label: t.username, required: true, autocomplete: "username" });
    const password = textField("password", { label: t.password, type: "password", required: true, autocomplete: "current-password", read: (value) => value });
    const code = textField("code", { label: t.code, hint: t.codeHint, inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6, mono: true });
    code.node.hidden = true;
    const view = form({
        fields: [username, password, code],
        label: t.submit,
        wide: true,
        submit: async (values) => {
            try {
                onLogin(await post("/session", code.node.hidden ? { ...values, code: undefined } : values));
            } catch (error) {
                if (error.code !== "CODE_REQUIRED") throw error;
                const again = !code.node.hidden;
                code.node.hidden = false;
                code.input.required = true;
                code.input.value = "";
                code.setError(again ? t.codeWrong : null);
                code.input.focus();
            }
        },
    });
    const words = message && note("", message);
    replace(root, door(t.title, t.hint, words, view.node, providers()));
    document.title = text.title(t.title);
    username.input.focus();
}

/** Links to the logins at identity providers. */
function providers() {
    const link = ({ name }) => linkButton(text.login.provider(name), "/admin/oidc/login", { kind: "wide" });
    const links = serverStatus().oidc.map(link);
    return links.length > 0 && h("div", { class: "door-providers" }, ...links);
}

/** The frame of login and setup. */
export function door(title, hint, ...content) {
    const image = h("img", { src: "icon.svg", alt: "", width: 48, height: 48 });
    return h(
        "main",
        { class: "door" },
        h("div", { class: "door-brand" }, image, h("div", null, h("h1", null, title), h("p", null, hint))),
        h("div", { class: "card padded" }, ...content),
        h("div", { class: "door-end" }, themeSwitch()),
    );
}
