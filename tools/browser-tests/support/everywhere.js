// Both themes at both widths.

import { checkAccessible, screenshot, widths } from "./browser.js";

/** Runs axe on the page and stores a screenshot, in each theme at each width. */
export async function everywhere(page, name) {
    for (const theme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme: theme });
        for (const [width, size] of Object.entries(widths)) {
            await page.setViewportSize(size);
            await checkAccessible(page, `${name} (${theme}, ${width})`);
            await screenshot(page, `${name.replaceAll(/\W+/g, "-")}-${theme}-${width}`);
        }
    }
    await page.setViewportSize(widths.wide);
}
