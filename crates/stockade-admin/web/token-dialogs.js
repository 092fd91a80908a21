// The dialog that creates a token for automation.

import { post } from "./api.js";
import { open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { form, selectField, textField } from "./form.js";
import { permissionsField } from "./role-dialogs.js";
import { currentUser } from "./session.js";
import { text } from "./strings.js";
import { button, note, secret } from "./widgets.js";

const t = text.account;
const DAY_MS = 86_400_000;

export function createToken(onDone) {
    open(t.createTokenTitle, (close) => {
        const area = h("div", { class: "stack" });
        const fields = [
            textField("name", { label: t.tokenName, hint: t.tokenNameHint, required: true }),
            permissionsField(currentUser().permissions, []),
            selectField("expires_at", { label: t.expires, options: text.keys.expiries.filter(([value]) => value !== "at"), value: "90", read: (days) => (days === "" ? undefined : new Date(Date.now() + Number(days) * DAY_MS).toISOString()) }),
        ];
        const submit = async (values) => {
            const { secret: value } = await post("/tokens", values);
            onDone();
            const done = button(text.done, { kind: "primary", onclick: close });
            replace(area, note("warn", h("strong", null, t.tokenOnce), " ", text.keys.onceHint), secret(value, t.token), h("div", { class: "form-actions" }, done));
            area.querySelector("button").focus();
        };
        return replace(area, form({ fields, label: t.createToken, cancel: close, submit }).node);
    });
}
