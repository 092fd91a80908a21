// Dialogs that create, change, rotate and revoke a key.

import { call, path, post } from "./api.js";
import { confirm, open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { form, selectField, textField } from "./form.js";
import { keyFields } from "./key-fields.js";
import { keepKey } from "./playground/key.js";
import { link } from "./router.js";
import { text } from "./strings.js";
import { toast } from "./toast.js";
import { button, linkButton, note, secret } from "./widgets.js";

const t = text.keys;

/** Creates a key, and shows its secret once; a key with a certificate has none. */
export function createKey(onDone) {
    // The same for a request that is sent again because its response was lost.
    let idempotencyKey = crypto.randomUUID();
    open(
        t.createTitle,
        (close) => {
            const area = h("div", { class: "stack" });
            const { fields, layout, body } = keyFields(null);
            const submit = async () => {
                const options = { body: body(), headers: { "idempotency-key": idempotencyKey } };
                const { data } = await call("POST", "/keys", options).catch((error) => {
                    if (error.status !== 0) idempotencyKey = crypto.randomUUID();
                    throw error;
                });
                onDone();
                if (data.secret === null) {
                    toast(t.createdCertificate);
                    close();
                    return;
                }
                replace(area, created(data, close));
                area.querySelector("button").focus();
            };
            replace(area, form({ fields, layout, label: t.create, cancel: close, submit }).node);
            return area;
        },
        { wide: true },
    );
}

/** The secret of a new or rotated key. The browser keeps it only for the playground. */
function created({ key, secret: value }, close) {
    keepKey(value);
    const toPlayground = linkButton(t.tryIt, link("playground"), { image: "playground" });
    toPlayground.addEventListener("click", close);
    return [
        note("warn", h("strong", null, t.once), " ", t.onceHint),
        h("p", { class: "muted" }, t.secretOf(key.name || key.id)),
        secret(value, t.secret),
        h("div", { class: "form-actions" }, toPlayground, button(text.done, { kind: "primary", onclick: close })),
    ];
}

/** Changes a key; `etag` is that of the shown version. */
export function editKey(key, etag, onDone) {
    open(
        t.editTitle(key.id),
        (close) => {
            const { fields, layout, body } = keyFields(key);
            const submit = async () => {
                await call("PATCH", path`/keys/${key.id}`, { body: body(), etag });
                toast(t.changed);
                close();
                onDone();
            };
            return form({ fields, layout, label: text.save, cancel: close, submit }).node;
        },
        { wide: true },
    );
}

/** Replaces the secret of a key; the old one is accepted for a while. */
export function rotateKey(key, onDone) {
    open(t.rotateTitle(key.id), (close) => {
        const area = h("div", { class: "stack" });
        const grace = selectField("grace_secs", { label: t.grace, hint: t.graceHint, options: t.graces, value: "86400", read: Number });
        const submit = async (values) => {
            const rotated = await post(path`/keys/${key.id}/rotate`, values);
            onDone();
            replace(area, created(rotated, close));
            area.querySelector("button").focus();
        };
        return replace(area, h("p", { class: "muted" }, t.rotateMessage), form({ fields: [grace], label: t.rotate, cancel: close, submit }).node);
    });
}

/** Revokes a key, after its id was typed. */
export function revokeKey(key, onDone) {
    confirm({
        title: t.revokeTitle(key.id),
        message: t.revokeMessage,
        label: t.revoke,
        typed: key.id,
        fields: [textField("reason", { label: t.reason, hint: t.reasonHint, optional: true })],
        action: async ({ reason }) => {
            await post(path`/keys/${key.id}/revoke`, { reason });
            toast(t.revokedNow(key.id));
            onDone();
        },
    });
}
