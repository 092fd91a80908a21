// The playground: a conversation with a model through the gateway, with a key of the user.

import { get } from "../api.js";
import { h } from "../dom.js";
import { sentence } from "../errors.js";
import { numberField, selectField, textField, areaField } from "../form.js";
import { chat, ChatError } from "../playground/chat.js";
import { composer } from "../playground/composer.js";
import { keepKey, keptKey } from "../playground/key.js";
import { responsePanel, snippetPanel } from "../playground/panel.js";
import { answerTurn, conversation, userTurn } from "../playground/turns.js";
import { can, serverStatus } from "../session.js";
import { text } from "../strings.js";
import { button, card, pageHead } from "../widgets.js";

const t = text.playground;

export async function render({ signal }) {
    const base = (serverStatus().gateway_url ?? location.origin).replace(/\/$/, "");
    const models = can("models:read") ? (await get("/models", signal)).data.map(({ name }) => name) : [];
    const options = requestFields(models);
    const talk = conversation();
    const response = responsePanel();
    const snippets = snippetPanel(base);
    let history = [];

    const bodyOf = (messages) => {
        const system = options.system.value();
        const all = system ? [{ role: "system", content: system }, ...messages] : messages;
        const stream = options.stream.value() === "yes";
        return {
            model: options.model.value() ?? "",
            messages: all,
            max_tokens: options.maxTokens.value(),
            temperature: options.temperature.value(),
            ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
        };
    };
    const question = (words, picture) => {
        if (!picture) return { role: "user", content: words };
        const parts = [{ type: "image_url", image_url: { url: picture.url } }];
        return { role: "user", content: words ? [{ type: "text", text: words }, ...parts] : parts };
    };
    const preview = () => snippets.show(bodyOf([...history, question(input.words() || t.example, input.picture())]), input.picture());

    async function send(words, picture, stop) {
        if (!options.check()) return false;
        const messages = [...history, question(words, picture)];
        const body = bodyOf(messages);
        talk.add(userTurn(words, picture));
        const answer = answerTurn(body.model);
        talk.add(answer.node);
        const begun = performance.now();
        const times = { first: null, total: null };
        let received = null;
        let usage = null;
        try {
            usage = await chat(`${base}/v1/chat/completions`, options.key.value(), body, {
                signal: stop,
                onHeaders: (answered) => {
                    received = answered;
                    response.show(received, times, null);
                },
                onText: (part) => {
                    times.first ??= performance.now() - begun;
                    answer.append(part);
                    talk.toEnd();
                },
            });
            history = [...messages, { role: "assistant", content: answer.text() }];
            answer.finish(picture, received);
        } catch (error) {
            answer.fail(reason(error, base));
        }
        times.total = performance.now() - begun;
        if (received) response.show(received, times, usage);
        talk.toEnd();
        return true;
    }

    const input = composer({ send, onChange: () => preview(), signal });
    options.onChange(preview);
    preview();

    const clear = button(t.clear, { kind: "small" });
    clear.addEventListener("click", () => {
        history = [];
        talk.clear();
        preview();
        input.focus();
    });
    const chatCard = h("section", { class: "card", "aria-label": t.title }, talk.node, input.node);
    const side = h("div", { class: "stack" }, card({ title: t.request }, options.node), card({ title: t.response }, response.node), card({ title: t.asCode }, snippets.node));
    return [pageHead({ title: t.title, hint: t.hint, actions: [clear] }), h("div", { class: "playground" }, chatCard, side)];
}

function reason(error, base) {
    if (error.name === "AbortError") return t.stopped;
    if (error instanceof ChatError) {
        const wait = error.response.headers.get("retry-after");
        return [error.code && `${error.code}: `, sentence(error.message), wait && ` ${text.errors.retryAfter(wait)}`].filter(Boolean).join("");
    }
    return t.unreachable(base);
}

/** The key, the model and the options of a request. */
function requestFields(models) {
    const key = textField("key", { label: t.key, hint: keptKey() ? t.keyKept : t.keyHint, type: "password", value: keptKey(), mono: true, required: true });
    const listed = models.length > 0;
    const model = listed
        ? selectField("model", { label: t.model, options: models.map((name) => [name, name]), value: models[0] })
        : textField("model", { label: t.model, hint: t.modelHint, required: true, mono: true });
    const system = areaField("system", { label: t.system, optional: true, rows: 2 });
    const maxTokens = numberField("max_tokens", { label: t.maxTokens });
    const temperature = textField("temperature", { label: t.temperature, type: "number", min: 0, max: 2, step: 0.1, optional: true, read: (value) => (value === "" ? undefined : Number(value)) });
    const stream = selectField("stream", { label: t.stream, options: Object.entries(t.streams), value: "yes" });
    const more = h("details", { class: "more" }, h("summary", null, t.options), h("div", { class: "form" }, system.node, h("div", { class: "form-row" }, maxTokens.node, temperature.node, stream.node)));
    const node = h("div", { class: "form" }, key.node, model.node, more);
    key.input.addEventListener("input", () => keepKey(key.input.value.trim()));
    const check = () => {
        const missing = [key, model].filter((item) => !item.input.value.trim());
        missing.forEach((item) => item.setError(text.errors.required));
        missing[0]?.input.focus();
        return missing.length === 0;
    };
    const onChange = (listener) => node.addEventListener("input", listener);
    return { key, model, system, maxTokens, temperature, stream, node, check, onChange };
}
