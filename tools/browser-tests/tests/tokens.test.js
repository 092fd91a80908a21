// Access tokens of an issuer: they are revoked on their page, which needs a setting.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before } from "node:test";

import { openPage, startBrowser } from "../support/browser.js";
import { everywhere } from "../support/everywhere.js";
import { signingKey } from "../support/jwt.js";
import { startServer } from "../support/server.js";
import { ask, closeMessages, eventually, sequence, setUp, settled, visit } from "../support/steps.js";

const test = sequence();
const key = signingKey("at+jwt");
let server, browser, page, problems;

before(async () => {
    server = await startServer({ settings, environment: { STOCKADE_ADMIN__REVOKE_TOKENS: "true" } });
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin]));
    await setUp(page, server.link);
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

async function settings({ folder }) {
    await writeFile(join(folder, "tokens.pem"), key.pem);
    return `
[auth.tokens]
issuer = "https://login.example.com"
audience = "https://api.example.com"
algorithm = "ES256"
key_file = "tokens.pem"
`;
}

/** A token of the issuer that is valid for an hour. */
function token(claims = {}) {
    const now = Math.floor(Date.now() / 1000);
    return key.issue({ iss: "https://login.example.com", aud: "https://api.example.com", sub: "alice", scope: "chat:write", iat: now, exp: now + 3600, jti: randomUUID(), ...claims });
}

test("a pasted token is revoked, and only its id is sent", async () => {
    const [first, second] = [token(), token()];
    assert.equal((await ask(server, first, "hello")).status, 200);
    await visit(page, "tokens");
    await everywhere(page, "revoke tokens");
    const bodies = [];
    page.on("request", (request) => request.url().endsWith("/revocations") && bodies.push(request.postData() ?? ""));
    const field = page.getByLabel("Token, or its id");
    await field.fill(first);
    await page.getByText("The id was read from the token").waitFor();
    await page.getByText("alice").waitFor();
    await everywhere(page, "revoke token");
    await page.getByLabel("Reason").fill("found in a repository");
    await page.getByRole("button", { name: "Revoke token" }).click();
    await page.getByText("The token is revoked.").waitFor();
    await closeMessages(page);
    assert.equal(await field.inputValue(), "");
    await eventually(async () => assert.match(await page.locator("main").textContent(), /Active revocations1/));
    assert.equal((await ask(server, first, "hello")).status, 401);
    assert.equal((await ask(server, second, "hello")).status, 200);
    assert.ok(bodies.length > 0 && bodies.every((body) => !body.includes(first)), "the token stays in the browser");
});

test("errors are shown at their field", async () => {
    const field = page.getByLabel("Token, or its id");
    await page.getByRole("button", { name: "Revoke token" }).click();
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    await field.fill(token({ jti: undefined }));
    await page.getByText("This token has no id (jti)").waitFor();
    await field.fill("a".repeat(300));
    await page.getByRole("button", { name: "Revoke token" }).click();
    await page.getByText("Must have 1 to 256 bytes").waitFor();
});

test("the audit records have the reason", async () => {
    await page.getByRole("link", { name: "Their audit records" }).click();
    await settled(page);
    await page.getByRole("button", { name: /revoked/i }).first().click();
    await page.getByRole("dialog").getByText("found in a repository").first().waitFor();
    await page.keyboard.press("Escape");
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));
