// A person who has read nothing: from the link that the demo prints to a revoked key. The time and
// the number of actions are reported.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openPage, startBrowser } from "../support/browser.js";
import { personAt } from "../support/person.js";
import { startServer } from "../support/server.js";
import { eventually, password, settled } from "../support/steps.js";

const LIMIT_MS = 180_000;
let server, browser, page, problems;

before(async () => {
    server = await startServer();
    browser = await startBrowser();
    ({ page, problems } = await openPage(browser.context, [server.origin]));
});

after(async () => {
    await browser?.stop();
    await server?.stop();
});

test("from the printed link to a revoked key", async (context) => {
    const begun = performance.now();
    const person = personAt(page);
    const open = async (name) => {
        await person.click(person.link(name));
        await settled(page);
    };

    await page.goto(server.link);
    await person.fill(person.field("Password"), password);
    await person.fill(person.field("Repeat the password"), password);
    await person.click(person.button("Create the user and log in"));
    await page.getByRole("heading", { name: "Overview" }).waitFor();

    await open("Keys");
    await person.click(person.button("Create key"));
    await person.fill(page.getByRole("dialog").getByLabel("Name"), "First try");
    await person.click(page.getByRole("dialog").getByRole("button", { name: "Create key" }));
    await person.click(person.link("Try it in the playground"));
    const question = person.field("Question");
    const ask = async (words) => {
        await person.fill(question, words);
        await person.press("Enter");
        const send = person.button("Send");
        await page.waitForFunction(() => !document.querySelector(".turn.busy"));
        await send.waitFor();
        return page.locator(".turn").last().textContent();
    };
    const answer = await ask("What can you do?");
    assert.ok(answer.length > "demo".length, answer);

    await person.click(person.link("Open its audit record"));
    await person.click(person.button("POST /v1/chat/completions"));
    const facts = await page.getByRole("dialog", { name: "Audit record" }).textContent();
    assert.match(facts, /Model.?demo/);
    await person.press("Escape");

    await open("Keys");
    await open("First try");
    const usage = page.locator("section", { hasText: "Usage" }).first();
    await eventually(async () => {
        if (!/Requests1/.test(await usage.textContent())) await open("Keys").then(() => open("First try"));
        assert.match(await usage.textContent(), /Requests1/);
    });

    await person.click(person.button("Ban"));
    await person.fill(page.getByRole("dialog").getByLabel("Reason"), "asks too much");
    await person.click(page.getByRole("dialog").getByRole("button", { name: "Add ban" }));
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await open("Playground");
    assert.match(await ask("And now?"), /BANNED/);
    await open("Bans");
    await person.click(page.getByRole("button", { name: /^Lift the ban of/ }));
    await person.click(page.getByRole("dialog").getByRole("button", { name: "Lift", exact: true }));
    await page.getByText("No bans").waitFor();
    await open("Playground");
    assert.doesNotMatch(await ask("And now?"), /BANNED/);

    await open("Keys");
    await open("First try");
    await person.click(person.button("Revoke"));
    const dialog = page.getByRole("dialog");
    const label = await dialog.locator("label", { hasText: "to confirm" }).textContent();
    await person.fill(dialog.getByLabel(label), /^Type (\S+) to confirm/.exec(label)[1]);
    await person.click(dialog.getByRole("button", { name: "Revoke" }));
    await page.getByText("This key was revoked on").waitFor();
    await open("Playground");
    assert.match(await ask("And now?"), /AUTHENTICATION_FAILED/);

    const took = performance.now() - begun;
    const { clicks, fields, keys } = person.counts;
    context.diagnostic(`${(took / 1000).toFixed(1)} s of the machine; a person clicks ${clicks} times, fills ${fields} fields and presses ${keys} keys`);
    assert.ok(took < LIMIT_MS, `${took} ms`);
});

test("the browser reports no problem", () => assert.deepEqual(problems, []));
