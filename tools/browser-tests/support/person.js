// A person at a page: what has to be clicked and filled in is counted.

/** The actions of a person on a page, with their numbers. */
export function personAt(page) {
    const counts = { clicks: 0, fields: 0, keys: 0 };
    return {
        counts,
        async click(target) {
            counts.clicks += 1;
            await target.click();
        },
        async fill(target, words) {
            counts.fields += 1;
            await target.fill(words);
        },
        async press(key) {
            counts.keys += 1;
            await page.keyboard.press(key);
        },
        button: (name) => page.getByRole("button", { name, exact: true }).first(),
        link: (name) => page.getByRole("link", { name, exact: true }).first(),
        field: (label) => page.getByLabel(label, { exact: true }).first(),
    };
}
