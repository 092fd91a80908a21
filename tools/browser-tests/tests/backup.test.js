// An export of one server is imported into another one.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";

import { openPage, startBrowser } from "../support/browser.js";
import { everywhere } from "../support/everywhere.js";
import { startServer } from "../support/server.js";
import { ask, closeMessages, openDialog, password, sequence, setUp, visit } from "../support/steps.js";

const test = sequence();
const RULE = { target: "203.0.113.0/24", reason: "scans for /.env" };
let first, second, browser, page, problems, file, secret;

before(async () => {
    first = await startServer();
    second = await startServer();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [first.origin, second.origin]));
});

after(async () => {
    await browser?.stop();
    await first?.stop();
    await second?.stop();
});

async function choose(dialog, name, content) {
    await dialog.getByLabel("File").setInputFiles({ name, mimeType: "application/json", buffer: Buffer.from(content) });
    await dialog.getByRole("button", { name: "Check the file" }).click();
}

test("everything is exported without secrets", async () => {
    await setUp(page, first.link);
    await visit(page, "users");
    let dialog = await openDialog(page, "Add role");
    await dialog.getByLabel("Name").fill("auditor");
    await dialog.getByLabel("audit:read").check();
    await dialog.getByRole("button", { name: "Save changes" }).click();
    await dialog.waitFor({ state: "hidden" });
    dialog = await openDialog(page, "Add user");
    await dialog.getByLabel("User name").fill("zoe");
    await dialog.getByLabel("Password", { exact: true }).fill(password);
    await dialog.getByLabel("Repeat the password").fill(password);
    await dialog.getByLabel("Role").selectOption("auditor");
    await dialog.getByRole("button", { name: "Add user" }).click();
    await dialog.waitFor({ state: "hidden" });
    await visit(page, "bans");
    dialog = await openDialog(page, "Add ban");
    await dialog.getByLabel("Client").fill(RULE.target);
    await dialog.getByLabel("Reason").fill(RULE.reason);
    await dialog.getByRole("button", { name: "Add ban" }).click();
    await dialog.waitFor({ state: "hidden" });

    await visit(page, "keys");
    dialog = await openDialog(page, "Create key");
    await dialog.getByLabel("Name").fill("Search");
    await dialog.getByText("Limits and more").click();
    await dialog.getByLabel("Id").fill("search");
    await dialog.getByRole("button", { name: "Create key" }).click();
    secret = await dialog.getByRole("group", { name: "Secret" }).textContent();
    await dialog.getByRole("button", { name: "Done" }).click();

    await visit(page, "settings");
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Export", exact: true }).click();
    const saved = await download;
    assert.equal(saved.suggestedFilename(), "stockade-admin.json");
    file = await readFile(await saved.path(), "utf8");
    const content = JSON.parse(file);
    assert.ok(content.users.every(({ password }) => password === "[not exported]"));
    assert.doesNotMatch(file, /argon2|sha256:|sk_demo_/);
    assert.ok(!file.includes(secret));
});

test("a file that is no export is refused at its field", async () => {
    await setUp(page, second.link);
    await visit(page, "settings");
    const dialog = await openDialog(page, "Import");
    for (const [content, message] of [
        ["not JSON", "This file is not an export of the administration."],
        ["[]", "This file is not an export of the administration."],
        [`{"format": 2}`, "The field format is not valid: Must be 1."],
        [`{"format": 1, "bans": [{"target": "nonsense", "reason": "x"}]}`, "The field bans[0].target is not valid"],
    ]) {
        await choose(dialog, "other.json", content);
        await dialog.getByText(message).waitFor();
        assert.equal(await dialog.getByLabel("File").getAttribute("aria-invalid"), "true");
    }
    await everywhere(page, "import error");
});

test("an import shows first what it would create", async () => {
    const dialog = page.getByRole("dialog");
    await choose(dialog, "stockade-admin.json", file);
    await dialog.getByText("Nothing has changed yet.").waitFor();
    const report = await dialog.textContent();
    for (const name of ["auditor", "zoe", "search", RULE.target]) assert.ok(report.includes(name), name);
    await everywhere(page, "import preview");
    const before = await page.evaluate(async () => (await (await fetch("/admin/v1/bans")).json()).data.length);
    assert.equal(before, 0, "nothing is created by the check");

    await dialog.getByRole("button", { name: "Import 4 entries" }).click();
    await page.getByText("4 entries were imported.").waitFor();
    await dialog.getByText("Save the new secret now.").waitFor();
    await everywhere(page, "imported keys");
    // Closing it would lose the secret.
    await page.keyboard.press("Escape");
    await dialog.getByText("The secrets were not saved yet.").waitFor();
    const download = page.waitForEvent("download");
    await dialog.getByRole("button", { name: "Download as CSV" }).click();
    const [, row] = (await readFile(await (await download).path(), "utf8")).split("\r\n");
    const [id, name, , imported] = row.split(",");
    assert.deepEqual([id, name], ["search", "Search"]);
    assert.notEqual(imported, secret);
    await dialog.getByRole("button", { name: "Done" }).click();
    assert.equal((await ask(second, imported, "Hello!")).status, 200);
    assert.equal((await ask(second, secret, "Hello!")).status, 401);
    await closeMessages(page);
    await visit(page, "bans");
    await page.getByText(RULE.reason).waitFor();
    await visit(page, "users");
    assert.match(await page.getByRole("row", { name: /zoe/ }).first().textContent(), /Disabled/);
});

test("a second import has nothing to do", async () => {
    await visit(page, "settings");
    const dialog = await openDialog(page, "Import");
    await choose(dialog, "stockade-admin.json", file);
    await dialog.getByText("Everything in this file is here already.").waitFor();
    await page.keyboard.press("Escape");
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));
