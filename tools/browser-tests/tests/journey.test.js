// What a first user of the demo does: setup, a key, questions, usage and records, a ban, a
// revocation.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { openPage, startBrowser } from "../support/browser.js";
import { bytesOf, dropFile, pastePicture } from "../support/picture.js";
import { startServer } from "../support/server.js";
import { ask, eventually, openDialog, password, sequence, settled, visit } from "../support/steps.js";

const test = sequence();
let server, browser, page, problems, secret;

before(async () => {
    server = await startServer();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin]));
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

const isInvalid = (field) => eventually(async () => assert.equal(await field.getAttribute("aria-invalid"), "true"));

test("setup shows errors at their field, and logs in", async () => {
    await page.goto(server.link);
    const field = page.getByLabel("Password", { exact: true });
    await field.fill("short");
    assert.equal(new URL(page.url()).hash, "", "the token leaves the address");
    await page.getByLabel("Repeat the password").fill("short");
    await page.getByRole("button", { name: "Create the user and log in" }).click();
    await isInvalid(field);
    const [error] = (await field.getAttribute("aria-describedby")).split(" ");
    assert.match(await page.locator(`#${error}`).textContent(), /at least 12 characters/);

    await field.fill(password);
    await page.getByLabel("Repeat the password").fill(password);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
});

test("a key is created, and its secret is shown once", async () => {
    await visit(page, "keys");
    const dialog = await openDialog(page, "Create key");
    await dialog.getByLabel("Name").fill("Billing service");
    await dialog.getByLabel("Owner").fill("ops@example.com");
    await dialog.getByText("Limits and more").click();
    await dialog.getByLabel("Id").fill("not an id!");
    await dialog.getByRole("button", { name: "Create key" }).click();
    await isInvalid(dialog.getByLabel("Id"));
    await dialog.getByLabel("Id").fill("billing");
    await dialog.getByRole("button", { name: "Create key" }).click();
    secret = await dialog.getByRole("group", { name: "Secret" }).textContent();
    assert.match(secret, /^sk_billing_/);
    await dialog.getByRole("button", { name: "Copy" }).click();
    await dialog.getByText("Copied").waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
    await dialog.getByRole("link", { name: "Try it in the playground" }).click();
    await page.getByRole("heading", { name: "Playground" }).waitFor();
    assert.ok(!(await page.content()).includes(secret), "the document does not contain the secret");
});

/** The button "Submit" of the demo's picture, of 140 by 112 pixels. */
const SUBMIT = { left: 36, right: 134, top: 5, bottom: 32 };

/** Fails unless the mark of the last answer is on the button of its picture. */
async function assertClickIsOnButton() {
    const answer = page.locator(".turn").last();
    const mark = answer.getByRole("img", { name: /^Clicks at / });
    await mark.waitFor();
    const dot = await mark.locator(".click-dot").boundingBox();
    const box = await answer.locator("img").boundingBox();
    const x = ((dot.x + dot.width / 2 - box.x) / box.width) * 140;
    const y = ((dot.y + dot.height / 2 - box.y) / box.height) * 112;
    assert.ok(x > SUBMIT.left && x < SUBMIT.right && y > SUBMIT.top && y < SUBMIT.bottom, `the mark is at ${x}, ${y}`);
}

test("the playground streams the answer of the model", async () => {
    await page.evaluate(() => {
        window.parts = 0;
        new MutationObserver((changes) => {
            for (const { target, addedNodes } of changes) if (target.matches?.(".turn.busy > .turn-text")) window.parts += addedNodes.length;
        }).observe(document.querySelector(".talk"), { childList: true, subtree: true });
    });
    await page.getByLabel("Question").fill("What can you do?");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll(".turn").length === 2 && !document.querySelector(".turn.busy"));
    assert.ok((await page.evaluate(() => window.parts)) > 1, "the answer arrives in parts");
    assert.match(await page.locator(".turn").last().textContent(), /\w{2,}/);
    await page.getByText(/prompt, .* completion/).waitFor();
});

test("a picture is dropped, and the click of the answer is drawn on it", async () => {
    const bytes = bytesOf(server.picture);
    await page.getByRole("button", { name: "New conversation" }).click();
    // The same answer each time.
    await page.locator("summary", { hasText: "Options" }).click();
    await page.getByLabel("Temperature").fill("0");
    await dropFile(page, page.getByLabel("Question"), server.folder, "screen.png", bytes);
    await page.getByText("140 × 112").waitFor();
    await page.getByLabel("Question").fill("Click the Submit button");
    await page.keyboard.press("Enter");
    await assertClickIsOnButton();
    const curl = await page.getByRole("group", { name: "curl" }).textContent();
    assert.match(curl, /\$STOCKADE_API_KEY/);
    assert.ok(!curl.includes(secret));
});

test("a picture is pasted", async () => {
    await page.getByRole("button", { name: "New conversation" }).click();
    await pastePicture(page, page.getByLabel("Question"), server.picture);
    await page.getByText("140 × 112").waitFor();
    await page.getByLabel("Question").fill("Click the Submit button");
    await page.keyboard.press("Enter");
    await assertClickIsOnButton();
});

test("the record of the question is one click away", async () => {
    await page.getByRole("link", { name: "Open its audit record" }).click();
    const record = page.getByRole("button", { name: "POST /v1/chat/completions" });
    await eventually(async () => {
        await page.reload();
        await settled(page);
        assert.equal(await record.count(), 1);
    });
    await record.click();
    const dialog = page.getByRole("dialog", { name: "Audit record" });
    assert.match(await dialog.textContent(), /billing/);
    await page.keyboard.press("Escape");
    assert.ok(await record.evaluate((node) => node === document.activeElement), "the focus returns");
});

test("the usage of the key counts the questions", async () => {
    await eventually(async () => {
        await visit(page, "keys");
        await visit(page, "keys/billing");
        assert.match(await page.locator("section", { hasText: "Usage" }).first().textContent(), /Requests3/);
    });
});

test("a key is changed", async () => {
    const dialog = await openDialog(page, "Edit");
    await dialog.getByLabel("Owner").fill("billing@example.com");
    await dialog.getByLabel("Requests per day").fill("5000");
    await dialog.getByRole("button", { name: "Save changes" }).click();
    await page.getByText("The key was changed.").waitFor();
    await settled(page);
    const facts = await page.locator("main").textContent();
    assert.match(facts, /billing@example\.com/);
    assert.match(facts, /Requests per day5,000/);
});

test("a ban refuses the key until it is lifted", async () => {
    await visit(page, "bans");
    const dialog = await openDialog(page, "Add ban");
    const client = dialog.getByLabel("Client");
    await client.fill("nonsense");
    await dialog.getByLabel("Reason").fill("test of a ban");
    await dialog.getByRole("button", { name: "Add ban" }).click();
    await isInvalid(client);
    await client.fill("key:billing");
    await dialog.getByRole("button", { name: "Add ban" }).click();
    const why = page.getByRole("button", { name: "Why key:billing is banned" });
    await why.waitFor();
    assert.equal((await ask(server, secret, "hello")).status, 403);

    await why.click();
    await page.getByRole("dialog").getByText("test of a ban").first().waitFor();
    await page.keyboard.press("Escape");
    const question = await openDialog(page, "Lift the ban of key:billing");
    await question.getByRole("button", { name: "Lift", exact: true }).click();
    await page.getByText("No bans").waitFor();
    assert.equal((await ask(server, secret, "hello")).status, 200);
});

test("a revocation needs the typed id, and is final", async () => {
    await visit(page, "keys/billing");
    const dialog = await openDialog(page, "Revoke");
    const typed = dialog.getByLabel("Type billing to confirm");
    await typed.fill("bil");
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await dialog.getByText("Type exactly billing.").waitFor();
    assert.equal((await ask(server, secret, "hello")).status, 200);
    await typed.fill("billing");
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("This key was revoked on").waitFor();
    assert.equal((await ask(server, secret, "hello")).status, 401);
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));
