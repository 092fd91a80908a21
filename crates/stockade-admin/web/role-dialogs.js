// Dialogs that create, change and remove roles.

import { get, path, put, remove } from "./api.js";
import { confirm, open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { errorPage } from "./errors.js";
import { checksField, form, textField } from "./form.js";
import { can } from "./session.js";
import { text } from "./strings.js";
import { toast } from "./toast.js";
import { skeleton } from "./widgets.js";

const t = text.users;

/** Creates a role, or changes one. */
export function roleDialog(role, onDone) {
    open(role ? t.editTitle(role.name) : t.createRoleTitle, (close) => {
        const area = h("div", null, skeleton(4));
        permissionNames().then(
            (known) => {
                const name = textField("name", { label: t.roleName, hint: t.roleNameHint, required: true, value: role?.name ?? "" });
                name.node.hidden = role !== null;
                const permissions = permissionsField(known, role?.permissions ?? []);
                const submit = async (values) => {
                    await put(path`/roles/${values.name}`, { permissions: values.permissions });
                    toast(t.roleSaved(values.name));
                    close();
                    onDone();
                };
                replace(area, form({ fields: [name, permissions], label: text.save, cancel: close, submit }).node);
                if (!role) name.input.focus();
            },
            (error) => replace(area, errorPage(error)),
        );
        return area;
    });
}

export function removeRole(role, onDone) {
    confirm({
        title: t.removeTitle(role.name),
        message: t.removeRoleMessage,
        label: text.remove,
        action: async () => {
            await remove(path`/roles/${role.name}`);
            toast(t.removed(role.name));
            onDone();
        },
    });
}

/** The names of all permissions. */
export async function permissionNames() {
    const answer = await get("/permissions");
    const list = answer.data ?? answer.permissions ?? answer;
    return list.map((one) => one.name ?? one);
}

/** Permissions to choose; those that the user does not have cannot be granted. */
export function permissionsField(known, chosen) {
    const options = known.map((name) => [name, h("span", null, h("code", null, name), h("small", null, t.permissionHints[name] ?? "")), !can(name)]);
    return checksField("permissions", { label: t.permissions, options, chosen });
}
