// The two fields of a new password.

import { textField } from "./form.js";
import { text } from "./strings.js";

const MIN_LENGTH = 12;

/** The password and its repetition. */
export function passwordFields(label, name) {
    const props = { type: "password", required: true, autocomplete: "new-password", minlength: MIN_LENGTH, read: (value) => value };
    return [
        textField(name, { label, hint: text.password.hint(MIN_LENGTH), ...props }),
        textField("again", { label: text.password.again, ...props }),
    ];
}

/** Whether both fields have the same, sufficiently long password; marks them if not. */
export function samePasswords(password, again) {
    if ([...password.input.value].length < MIN_LENGTH) {
        password.setError(text.password.short(MIN_LENGTH));
        password.input.focus();
        return false;
    }
    if (password.input.value !== again.input.value) {
        again.setError(text.password.different);
        again.input.focus();
        return false;
    }
    return true;
}
