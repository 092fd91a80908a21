// Several keys are rotated together: chosen one by one, or all that the list finds.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";

import { openPage, startBrowser } from "../support/browser.js";
import { everywhere } from "../support/everywhere.js";
import { startServer } from "../support/server.js";
import { ask, closeMessages, eventually, openDialog, sequence, setUp, settled, visit } from "../support/steps.js";

const test = sequence();
const NAMES = [`=HYPERLINK("http://evil.example")`, "Search", "Billing"];
const secrets = {};
let server, browser, page, problems;

before(async () => {
    server = await startServer();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin]));
    await setUp(page, server.link);
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

/** The cells of a CSV file without line breaks in its cells. */
function cells(text) {
    const rows = text.trimEnd().split("\r\n");
    return rows.map((row) => [...row.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain));
}

/** Rotates the selection, and returns the new secrets by id, from the downloaded file. */
async function rotate(dialog, number, grace) {
    await dialog.getByLabel("The present secret is accepted for").selectOption(grace);
    await dialog.getByRole("button", { name: `Rotate ${number} keys` }).click();
    const file = page.waitForEvent("download");
    await dialog.getByRole("button", { name: "Download as CSV" }).click();
    const [head, ...rows] = cells(await readFile(await (await file).path(), "utf8"));
    assert.deepEqual(head, ["id", "name", "owner", "secret"]);
    return { rows, byId: Object.fromEntries(rows.map(([id, , , secret]) => [id, secret])) };
}

test("keys are selected with the keyboard", async () => {
    for (const [at, name] of NAMES.entries()) {
        await visit(page, "keys");
        const dialog = await openDialog(page, "Create key");
        await dialog.getByLabel("Name").fill(name);
        await dialog.getByText("Limits and more").click();
        await dialog.getByLabel("Team").fill("core");
        await dialog.getByLabel("Id").fill(`core-${at}`);
        await dialog.getByRole("button", { name: "Create key" }).click();
        secrets[`core-${at}`] = await dialog.getByRole("group", { name: "Secret" }).textContent();
        await dialog.getByRole("button", { name: "Done" }).click();
    }
    await closeMessages(page);
    await settled(page);
    for (const name of ["Search", "Billing"]) {
        await page.getByRole("checkbox", { name: `Select ${name}` }).focus();
        await page.keyboard.press("Space");
    }
    await page.getByText("2 keys selected").waitFor();
    await everywhere(page, "keys selected");
});

test("the new secrets are shown once, and must be saved before the dialog closes", async () => {
    const dialog = await openDialog(page, "Rotate");
    await everywhere(page, "rotate keys");
    await dialog.getByRole("button", { name: "Rotate 2 keys" }).click();
    await dialog.getByText("Save the 2 new secrets now.").waitFor();
    await everywhere(page, "rotated keys");
    await dialog.getByRole("button", { name: "Done" }).click();
    await dialog.getByText("The secrets were not saved yet.").waitFor();
    const texts = await dialog.locator("tbody code").allTextContents();
    assert.equal(texts.length, 2);
    await dialog.getByRole("button", { name: "Copy" }).click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    for (const text of texts) assert.ok(copied.includes(text));
    await dialog.getByRole("button", { name: "Done" }).click();
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await page.getByText("2 keys selected").isVisible(), false);
    // The old secrets are accepted for a day.
    for (const secret of [texts[0], texts[1], secrets["core-1"]]) assert.equal((await ask(server, secret, "hello")).status, 200);
});

test("all keys of a search are rotated, without a period of grace", async () => {
    await page.getByLabel("Search by name, id, owner or team").fill("core");
    await eventually(async () => assert.equal(await page.locator("tbody tr").count(), 3));
    await page.getByRole("checkbox", { name: "Select Search" }).check();
    await page.getByRole("button", { name: "Select all active keys of this list" }).click();
    await page.getByText("3 keys selected").waitFor();
    const { rows, byId } = await rotate(await openDialog(page, "Rotate"), 3, "0");
    assert.deepEqual(Object.keys(byId).sort(), ["core-0", "core-1", "core-2"]);
    assert.equal(rows.find(([id]) => id === "core-0")[1], `'${NAMES[0]}`, "a spreadsheet does not run the cell");
    await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();
    assert.equal((await ask(server, secrets["core-0"], "hello")).status, 401);
    assert.equal((await ask(server, byId["core-0"], "hello")).status, 200);
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));
