// Dialogs that add, change, top up and delete budgets.

import { call, path, post, remove } from "./api.js";
import { confirm, open } from "./dialog.js";
import { h, replace } from "./dom.js";
import { errorPage } from "./errors.js";
import { form, selectField, textField } from "./form.js";
import { text } from "./strings.js";
import { toast } from "./toast.js";
import { skeleton } from "./widgets.js";

const t = text.budgets;

const amountField = (name, props) => textField(name, { type: "number", min: 0, step: "any", inputmode: "decimal", required: true, read: Number, ...props });

/** Adds a budget. */
export function addBudget(onDone) {
    open(t.addTitle, (close) => {
        const name = textField("subject.name", { label: t.name, hint: t.nameHint });
        const kind = selectField("subject.kind", { label: t.subject, options: Object.entries(t.kinds), value: "key" });
        const showName = () => (name.node.hidden = kind.input.value === "all");
        kind.input.addEventListener("change", showName);
        showName();
        const fields = [
            kind,
            name,
            textField("model", { label: t.model, hint: t.modelHint, optional: true }),
            selectField("unit", { label: t.unit, options: Object.entries(t.units), value: "tokens" }),
            amountField("limit", { label: t.limit }),
            selectField("window", { label: t.window, options: Object.entries(t.windows), value: "month", read: (value) => (value === "prepaid" ? null : value) }),
        ];
        const submit = async ({ model, unit, limit, window, ...subject }) => {
            const isAll = subject["subject.kind"] === "all";
            const of = { kind: subject["subject.kind"], name: isAll ? undefined : subject["subject.name"] };
            await post("/budgets", { subject: of, model, unit, limit, window });
            toast(t.added);
            close();
            onDone();
        };
        return form({ fields, label: t.add, cancel: close, submit }).node;
    });
}

/** Changes the limit of a budget, from its newest version. */
export function changeBudget({ id }, onDone) {
    open(t.change, (close) => {
        const area = h("div", null, skeleton(1));
        call("GET", path`/budgets/${id}`).then(
            ({ data: budget, etag }) => replace(area, limitForm(budget, etag, close, onDone)),
            (error) => replace(area, errorPage(error)),
        );
        return area;
    });
}

function limitForm(budget, etag, close, onDone) {
    const limit = amountField("limit", { label: t.limit, value: budget.limit });
    const submit = async (body) => {
        await call("PATCH", path`/budgets/${budget.id}`, { body, etag });
        toast(t.changed);
        close();
        onDone();
    };
    return form({ fields: [limit], label: text.save, cancel: close, submit }).node;
}

/** Adds to the amount of a prepaid budget. */
export function topUp(budget, onDone) {
    open(t.topUp, (close) => {
        const added = amountField("amount", { label: t.amount, hint: t.units[budget.unit] });
        const submit = async (values) => {
            await post(path`/budgets/${budget.id}/top-up`, values);
            toast(t.changed);
            close();
            onDone();
        };
        return form({ fields: [added], label: t.topUp, cancel: close, submit }).node;
    });
}

/** Deletes a budget after a question. */
export function removeBudget(budget, name, onDone) {
    confirm({
        title: t.removeTitle(name),
        message: t.removeMessage,
        label: text.remove,
        action: async () => {
            await remove(path`/budgets/${budget.id}`);
            toast(t.removed);
            onDone();
        },
    });
}
