// Budgets: what is left of them.

import { get } from "../api.js";
import { addBudget, changeBudget, removeBudget, topUp } from "../budget-dialogs.js";
import { h } from "../dom.js";
import { amount } from "../format.js";
import { can } from "../session.js";
import { text } from "../strings.js";
import { list } from "../table.js";
import { absent, badge, button, empty, moment, pageHead } from "../widgets.js";

const t = text.budgets;

export async function render({ signal }) {
    const write = can("budgets:write");
    const add = (kind) => write && button(t.add, { kind, image: "plus", onclick: () => addBudget(view.reload) });
    const change = (budget) => (budget.window === null ? topUp : changeBudget)(budget, view.reload);

    const columns = [
        { label: t.subject, cell: (budget) => h("span", { class: "row tight" }, badge(t.kinds[budget.subject.kind]), budget.subject.name && h("span", { class: "cell-main break" }, budget.subject.name)) },
        { label: t.model, cell: (budget) => budget.model ?? absent(t.allModels) },
        { label: t.used, cell: used },
        { label: t.window, cell: (budget) => t.windows[budget.window ?? "prepaid"] },
        { label: t.resets, cell: (budget) => moment(budget.resets_at, t.never) },
        write && {
            label: text.actions,
            kind: "actions",
            cell: (budget) => [
                button(budget.window === null ? t.topUp : text.edit, { kind: "small", onclick: () => change(budget), "aria-label": t.changeTitle(nameOf(budget)) }),
                button(text.remove, { kind: "small danger", onclick: () => removeBudget(budget, nameOf(budget), view.reload), "aria-label": t.removeTitle(nameOf(budget)) }),
            ],
        },
    ].filter(Boolean);

    const view = list({
        label: t.title,
        columns,
        load: () => get("/budgets", signal),
        none: () => empty("budgets", t.none, t.noneHint, add("")),
    });
    const head = pageHead({ title: t.title, hint: t.hint, actions: [add("primary")].filter(Boolean) });
    return [head, h("div", { class: "card" }, view.node)];
}

function nameOf(budget) {
    return budget.subject.name ?? t.kinds[budget.subject.kind];
}

/** The used part as a bar, with its numbers. */
function used(budget) {
    const label = t.usedOf(amount(budget.spent, budget.unit), amount(budget.limit, budget.unit), t.units[budget.unit]);
    const bar = h("progress", { value: Math.min(budget.spent, budget.limit), max: budget.limit, "aria-label": label });
    return h("span", { class: "budget-used" }, h("span", null, label), bar);
}
