// Steps that several tests share.

import { test } from "node:test";

/** Tests that build on each other: after the first failure, the others are skipped. */
export function sequence() {
    let failed = false;
    return (name, run) =>
        test(name, async (context) => {
            if (failed) {
                context.skip("an earlier step failed");
                return;
            }
            failed = true;
            await run();
            failed = false;
        });
}

export const password = "lanterns over wet gravel";

/** Opens a page of the application, and waits until it is shown. */
export async function visit(page, name) {
    await page.evaluate((hash) => (location.hash = hash), `#/${name}`);
    await settled(page);
}

/** Waits until nothing is being loaded, and animations of messages have ended. */
export async function settled(page) {
    await page.locator("main h1").first().waitFor();
    await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]"));
}

/** Opens a dialog with a button, and returns it. */
export async function openDialog(page, button) {
    await page.getByRole("button", { name: button, exact: true }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await page.waitForFunction(() => !document.querySelector("dialog .skeleton"));
    return dialog;
}

/** Closes the messages in the corner, which would cover a screenshot. */
export async function closeMessages(page) {
    await page.evaluate(() => document.querySelectorAll(".toast button").forEach((button) => button.click()));
}

/** Creates the first user through the link of the program. */
export async function setUp(page, link) {
    await page.goto(link);
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByLabel("Repeat the password").fill(password);
    await page.getByRole("button", { name: "Create the user and log in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await settled(page);
}

/** Sends a request to the guarded API as a client would. */
export function ask(server, key, content, { model = server.model, headers = {} } = {}) {
    return fetch(`${server.api}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
        body: JSON.stringify({ model, max_tokens: 16, messages: [{ role: "user", content }] }),
    });
}

/** Repeats a check until it succeeds: what another thread writes appears a moment later. */
export async function eventually(check, limitMs = 10_000) {
    const end = Date.now() + limitMs;
    for (;;) {
        try {
            return await check();
        } catch (error) {
            if (Date.now() > end) throw error;
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }
}
