// Dialogs that create and change a user.

import { call, path, post } from "./api.js";
import { open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { checksField, form, selectField, textField } from "./form.js";
import { passwordFields, samePasswords } from "./password.js";
import { text } from "./strings.js";
import { toast } from "./toast.js";
import { skeleton } from "./widgets.js";
import { errorPage } from "./errors.js";

const t = text.users;
const names = (roles) => roles.map(({ name }) => [name, name]);

export function createUser(roles, onDone) {
    open(t.createTitle, (close) => {
        const username = textField("username", { label: t.username, required: true, autocomplete: "off" });
        const role = selectField("role", { label: t.role, options: names(roles), value: "viewer" });
        const [password, again] = passwordFields(t.initialPassword, "password");
        const submit = async ({ again: _, ...values }) => {
            if (!samePasswords(password, again)) return;
            await post("/users", values);
            toast(t.created(values.username));
            close();
            onDone();
        };
        return form({ fields: [username, role, password, again], label: t.create, cancel: close, submit }).node;
    });
}

/** Changes the role, the state or the password of a user, from its newest version. */
export function editUser({ id, username }, roles, onDone) {
    open(t.editTitle(username), (close) => {
        const area = h("div", null, skeleton(3));
        call("GET", path`/users/${id}`).then(
            ({ data: user, etag }) => replace(area, editForm(user, etag, roles, close, onDone)),
            (error) => replace(area, errorPage(error)),
        );
        return area;
    });
}

function editForm(user, etag, roles, close, onDone) {
    const role = selectField("role", { label: t.role, options: names(roles), value: user.role });
    const state = checksField("disabled", { label: t.state, options: [["disabled", t.disable], ...(user.has_totp ? [["totp", t.removeTotp]] : [])], chosen: user.disabled ? ["disabled"] : [] });
    const password = textField("password", { label: t.newPassword, hint: t.newPasswordHint, type: "password", optional: true, autocomplete: "new-password", read: (value) => value || undefined });
    const submit = async (values) => {
        const disabled = values.disabled.includes("disabled");
        const body = {
            role: values.role === user.role ? undefined : values.role,
            disabled: disabled === user.disabled ? undefined : disabled,
            password: values.password,
            has_totp: values.disabled.includes("totp") ? false : undefined,
        };
        await call("PATCH", path`/users/${user.id}`, { body, etag });
        toast(t.changed(user.username));
        close();
        onDone();
    };
    return form({ fields: [role, state, password], label: text.save, cancel: close, submit }).node;
}
