// The administration in another program: its API has another origin than the page, there are no
// keys yet, and models can be unloaded.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { checkAccessible, openPage, startBrowser } from "../support/browser.js";
import { picture } from "../support/picture.js";
import { startExample } from "../support/server.js";
import { openDialog, sequence, setUp, settled, visit } from "../support/steps.js";

const test = sequence();
let server, browser, page, problems;

before(async () => {
    server = await startExample();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin, server.api]));
    await setUp(page, server.link);
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

test("an empty list of keys names the next step", async () => {
    await visit(page, "keys");
    await page.getByText("No keys yet").waitFor();
    await checkAccessible(page, "no keys");
    const dialog = await openDialog(page, "Create key");
    await dialog.getByRole("button", { name: "Create key" }).click();
    await dialog.getByRole("link", { name: "Try it in the playground" }).click();
    await settled(page);
});

test("the playground calls the API of another origin, and reads its headers", async () => {
    assert.notEqual(new URL(server.api).origin, server.origin);
    await page.setInputFiles("input[type=file]", { name: "shot.png", mimeType: "image/png", buffer: await picture(page) });
    await page.getByText("320 × 200").waitFor();
    await page.getByLabel("Question").fill("Click(160, 50)");
    await page.keyboard.press("Enter");
    const overlay = page.getByRole("img", { name: "Clicks at 160, 50" });
    await overlay.waitFor();
    const dot = await overlay.locator(".click-dot").boundingBox();
    const box = await page.locator(".turn").last().locator("img").boundingBox();
    assert.ok(Math.abs(dot.x + dot.width / 2 - (box.x + box.width / 2)) < 2, "the dot is in the middle");
    assert.ok(Math.abs(dot.y + dot.height / 2 - (box.y + box.height / 4)) < 2, "the dot is at a quarter");
    await page.getByText("x-ratelimit-remaining-requests").waitFor();
    await page.getByRole("link", { name: "Open its audit record" }).waitFor();
});

test("a key with a client certificate has no secret to show or rotate", async () => {
    const agent = "spiffe://example.org/agent";
    await visit(page, "keys");
    const dialog = await openDialog(page, "Create key");
    await dialog.getByLabel("Name").fill("Agent");
    await dialog.getByText("Limits and more").click();
    await dialog.getByLabel("Client certificate").fill("example.org");
    await dialog.getByRole("button", { name: "Create key" }).click();
    await dialog.locator(".error", { hasText: "spiffe://" }).waitFor();
    await checkAccessible(page, "certificate of a new key");
    await dialog.getByLabel("Client certificate").fill(agent);
    await dialog.getByRole("button", { name: "Create key" }).click();
    await dialog.waitFor({ state: "hidden" });
    await page.getByText(`Client certificate: ${agent}`).waitFor();
    assert.equal(await page.getByRole("checkbox", { name: "Select Agent" }).isDisabled(), true);
    await page.getByRole("link", { name: "Agent" }).click();
    await page.getByRole("button", { name: "Revoke" }).waitFor();
    await page.getByText(agent, { exact: true }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Rotate" }).count(), 0);
});

test("a model is unloaded after a question, and loaded again", async () => {
    await visit(page, "models");
    const dialog = await openDialog(page, "Unload");
    await dialog.getByRole("button", { name: "Unload" }).click();
    await page.getByText("Not loaded").waitFor();
    await page.getByRole("button", { name: "Load", exact: true }).click();
    await page.getByText("Ready").waitFor();
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));
