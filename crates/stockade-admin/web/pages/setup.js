// The creation of the first user.

import { post } from "../api.js";
import { replace } from "../dom.js";
import { form, textField } from "../form.js";
import { passwordFields, samePasswords } from "../password.js";
import { text } from "../strings.js";
import { note } from "../widgets.js";
import { door } from "./login.js";

/** Shows the setup; the token comes from the link that the program printed. */
export function showSetup(root, { token, onDone }) {
    const t = text.setup;
    const secret = textField("token", { label: t.token, hint: t.tokenHint, value: token, required: true, mono: true });
    const username = textField("username", { label: text.login.username, value: "admin", required: true, autocomplete: "username" });
    const [password, again] = passwordFields(text.login.password, "password");
    const view = form({
        fields: [secret, username, password, again],
        label: t.submit,
        wide: true,
        submit: async ({ again: _, ...values }) => {
            if (samePasswords(password, again)) onDone(await post("/setup", values));
        },
    });
    // The token of a link is hidden, unless it is wrong.
    secret.node.hidden = Boolean(token);
    const show = new MutationObserver(() => {
        if (secret.input.getAttribute("aria-invalid") === "true") secret.node.hidden = false;
    });
    show.observe(secret.input, { attributeFilter: ["aria-invalid"] });
    replace(root, door(t.title, t.hint, !token && note("", t.noToken), view.node));
    document.title = text.title(t.title);
    (token ? username : secret).input.focus();
}
