// The dialog that rotates several keys, and shows their new secrets once.

import { post } from "./api.js";
import { open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { errorText } from "./errors.js";
import { form, selectField } from "./form.js";
import { newSecrets, secretGuard } from "./new-secrets.js";
import { text } from "./strings.js";
import { button, note } from "./widgets.js";

const t = text.keys;
/** The keys of one request: few enough to show progress. */
const BATCH = 25;

/** Rotates keys; `onDone` is called once secrets have changed. */
export function rotateKeys(keys, onDone) {
    const guard = secretGuard();
    open(
        t.rotateSeveralTitle(keys.length),
        (close) => {
            const area = h("div", { class: "stack" });
            const grace = selectField("grace_secs", { label: t.grace, hint: t.graceHint, options: t.graces, value: "86400", read: Number });
            const progress = h("div", { class: "stack", role: "status" });
            const submit = async ({ grace_secs }) => {
                const { results, error } = await rotate(keys, grace_secs, progress);
                if (error && results.length === 0) throw error;
                onDone();
                replace(area, rotated(keys, results, error, guard, close));
                area.querySelector("button").focus();
            };
            const names = h("details", { class: "more" }, h("summary", null, t.rotateWhich(keys.length)), h("ul", { class: "names", tabindex: 0, "aria-label": t.rotateWhich(keys.length) }, keys.map((key) => h("li", null, key.name ? `${key.name} (${key.id})` : key.id))));
            const view = form({ fields: [grace], label: t.rotateSeveral(keys.length), cancel: close, submit });
            return replace(area, h("p", { class: "muted" }, t.rotateSeveralMessage), names, view.node, progress);
        },
        { wide: true, mayClose: guard.mayClose },
    );
}

/** The results of all requests until the first that failed, with its error. */
async function rotate(keys, grace_secs, progress) {
    const results = [];
    const bar = h("progress", { max: keys.length, value: 0, "aria-label": t.rotating });
    const words = h("p", { class: "small muted" });
    replace(progress, words, bar);
    try {
        for (let at = 0; at < keys.length; at += BATCH) {
            replace(words, t.rotateProgress(at, keys.length));
            const ids = keys.slice(at, at + BATCH).map(({ id }) => id);
            results.push(...(await post("/keys/rotate", { ids, grace_secs })).data);
            bar.value = results.length;
        }
        return { results, error: null };
    } catch (error) {
        return { results, error };
    } finally {
        replace(progress);
    }
}

/** The new secrets, with what failed first. */
function rotated(keys, results, error, guard, close) {
    const done = results.filter(({ secret }) => secret).map(({ id, key, secret }) => ({ id, name: key.name, owner: key.owner, secret }));
    const failed = results.filter((result) => result.error);
    const notes = [
        failed.length > 0 && note("bad", t.someNotRotated(failed.length)),
        error && note("bad", errorText(error), " ", t.leftOver(keys.length - results.length)),
    ];
    return [newSecrets(done, guard, { failed, notes }), h("div", { class: "form-actions" }, button(text.done, { onclick: close }))];
}
