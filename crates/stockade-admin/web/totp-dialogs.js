// Dialogs that switch one-time codes on and off.

import { post, put, remove } from "./api.js";
import { confirm, open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { form, textField } from "./form.js";
import { qrCode } from "./qr.js";
import { text } from "./strings.js";
import { toast } from "./toast.js";
import { secret } from "./widgets.js";

const t = text.account;

const passwordField = () => textField("password", { label: t.currentPassword, type: "password", required: true, autocomplete: "current-password", read: (value) => value });

/** Asks for the password, shows the secret for an app, and confirms it with a code. */
export function enableTotp(onDone) {
    open(t.totpEnable, (close) => {
        const area = h("div", { class: "stack" });
        const begin = async (values) => showSecret(area, await post("/totp", values), close, onDone);
        replace(area, form({ fields: [passwordField()], label: t.proceed, cancel: close, submit: begin }).node);
        return area;
    });
}

function showSecret(area, { secret: value, uri }, close, onDone) {
    const code = textField("code", { label: t.code, hint: t.codeHint, required: true, inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6, mono: true });
    const submit = async (values) => {
        await put("/totp", values);
        toast(t.totpOn);
        close();
        await onDone();
    };
    const words = h("div", { class: "stack" }, h("p", null, t.scan), secret(value, t.secret));
    replace(area, h("div", { class: "totp" }, qrCode(uri, t.qr), words), form({ fields: [code], label: t.confirm, cancel: close, submit }).node);
    code.input.focus();
}

export function disableTotp(onDone) {
    confirm({
        title: t.totpDisable,
        message: t.totpDisableMessage,
        label: t.totpDisable,
        fields: [passwordField()],
        action: async ({ password }) => {
            await remove("/totp", { password });
            toast(t.totpOff);
            await onDone();
        },
    });
}
